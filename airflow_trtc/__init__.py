"""Apache Airflow provider for Tencent RTC (TRTC) on-cloud recording."""

__version__ = "0.1.0"
