"""A DAG file for tests of Airflow itself."""

DOUBLES = """
from airflow.sdk import dag, task

@dag(schedule=None)
def doubles():
    @task
    def numbers():
        print("these are the numbers")
        return [1, 2, 3]

    @task
    def double(number):
        return 2 * number

    double.expand(number=numbers())

doubles()
"""
