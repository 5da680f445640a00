"""What can be set for a whole emulator, and the defaults that callers may rely on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from airflow_trtc.emulator.options import check_numbers

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8765
DEFAULT_SECRET_ID = "AKIDemulatorEXAMPLE"
DEFAULT_SECRET_KEY = "emulator-secret-key-EXAMPLE"
DEFAULT_DENIED_SECRET_ID = "AKIDdeniedEXAMPLE"
DEFAULT_DENIED_SECRET_KEY = "denied-secret-key-EXAMPLE"
DEFAULT_SDK_APP_ID = 1400000001
DEFAULT_FOREIGN_SDK_APP_ID = 1400000002
DEFAULT_SDK_SECRET_KEY = "deadbeef" * 8
"""64 hexadecimal digits, as the console shows them."""
DEFAULT_CALLBACK_KEY = "emulatorCallbackKEY"
DEFAULT_REGION = "ap-guangzhou"
DEFAULT_RATE_LIMIT = 20
DEFAULT_CONCURRENCY_LIMIT = 100

MAX_TIME_SCALE = 1_000_000

FILE_LIST_FORMS = ("list", "null", "absent")
LISTINGS_WITHOUT_HLS = ("nothing", "index", "media")
STORAGE_REFUSALS = ("at_upload", "at_create")


@dataclass(frozen=True)
class Settings:
    """The options of an emulator besides host and port.

    Durations are seconds of the emulator's clock unless a name says otherwise.
    """

    secret_id: str = DEFAULT_SECRET_ID
    secret_key: str = field(default=DEFAULT_SECRET_KEY, repr=False)
    token: str | None = field(default=None, repr=False)
    """When set, the credentials are temporary ones and requests need this ``X-TC-Token``."""
    denied_secret_id: str = DEFAULT_DENIED_SECRET_ID
    denied_secret_key: str = field(default=DEFAULT_DENIED_SECRET_KEY, repr=False)
    """A valid key pair without any right: ``AuthFailure.UnauthorizedOperation``."""
    sdk_app_id: int = DEFAULT_SDK_APP_ID
    more_sdk_app_ids: tuple[int, ...] = ()
    """Further applications of the same account."""
    foreign_sdk_app_ids: tuple[int, ...] = (DEFAULT_FOREIGN_SDK_APP_ID,)
    """Applications of other accounts: ``UnauthorizedOperation.SdkAppId``."""
    sdk_secret_key: str = field(default=DEFAULT_SDK_SECRET_KEY, repr=False)
    """The key of the account's applications, which signs every UserSig and PrivateMapKey."""
    check_user_sig: bool = True
    """Whether CreateCloudRecording needs a UserSig that is signed for its UserId and not expired."""
    user_sig_code: str = "InvalidParameter.UserSig"
    """The error code for a UserSig that is not valid. No page says which it is for recordings [unsure]."""
    advanced_permission_control: bool = False
    """Whether CreateCloudRecording needs a PrivateMapKey too, as the console's switch of that name has it."""
    private_map_key_code: str = "FailedOperation"
    """The error code for a PrivateMapKey that is missing or not valid. No page names one [unsure]."""
    storage_access_key: str | None = None
    storage_secret_key: str | None = field(default=None, repr=False)
    """The key pair of the buckets; None: any pair may write."""
    refuse_storage: str = "at_upload"
    """When another pair is refused: ``at_upload``, after the start, or ``at_create`` [unsure]."""
    storage_code: str = "FailedOperation"
    """The error code of a refusal at CreateCloudRecording [unsure]."""
    region: str = DEFAULT_REGION
    """Only what :attr:`Emulator.connection` offers; every documented region is accepted."""
    time_scale: float = 1.0
    """Emulated seconds per real second; 0 stops the clock, ``advance()`` moves it by hand."""
    rate_limit: int = DEFAULT_RATE_LIMIT
    """Requests per real second, action and account; 0 means no limit."""
    room_usage_seconds: float = 15.0
    """Real seconds between two DescribeTrtcRoomUsage of a key pair; 0 means no limit."""
    usage_zone_hours: float = 8.0
    """How far ahead of UTC the days of the usage calls are."""
    concurrency_limit: int = DEFAULT_CONCURRENCY_LIMIT
    """Recordings at one time; one more is ``FailedOperation.RestrictedConcurrency``; 0 means no limit."""
    exited_seconds: float = 0.0
    """How long a recording shows ``Exited``. The service was seen to take some 0.03 s."""
    absent_code: str = "ResourceNotFound"
    """The error code for recordings and jobs that are over, expired or never existed."""
    empty_file_list: str = "list"
    """How an empty ``StorageFileList`` is sent: ``list`` is ``[]``, ``null``, or ``absent``."""
    list_without_hls: str = "nothing"
    """What is listed with OutputFormat 3 or 4, which no page says: ``nothing``, ``index`` or ``media``."""
    new_recordings: Mapping[str, Any] = field(default_factory=dict)
    """Progress options (see ``add_recording``) for what CreateCloudRecording starts."""
    new_jobs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """The same for jobs of other kinds (see ``add_job``), by kind."""
    clock_skew_seconds: float = 0.0
    """How far the service's clock is ahead of this machine's, until ``skew_clock()`` says otherwise."""
    callback_url: str | None = None
    """Where events are sent; None sends none."""
    callback_key: str | None = field(default=None, repr=False)
    """Signs the callbacks, at most 32 letters and digits; None leaves the ``Sign`` header out."""
    callback_trouble: Mapping[str, Any] = field(default_factory=dict)
    """Options of ``callback_trouble()`` from the beginning."""
    callback_timeout_seconds: float = 5.0
    """Real seconds until a callback without an answer has failed."""
    callback_retry_seconds: float = 10.0
    """Real seconds between two attempts; only the first repetition comes at once."""
    callback_lifetime_seconds: float = 60.0
    """Real seconds since the first attempt after which a callback is dropped."""
    callback_connections: int = 16
    """Callbacks under way at one time."""
    room_events: bool = False
    """Whether recordings without an option of that name report their room and participants too."""
    seed: int | None = None
    """Makes recording ids and the trouble of callbacks repeatable."""
    control_hosts: tuple[str, ...] = ()
    """Domain names under which control requests that change something are accepted. Addresses, names
    without a dot and ``*.localhost`` always are; other names could belong to a web page."""
    keep_requests: int = 1000
    """How many requests are remembered for ``state(requests=True)``."""

    def __post_init__(self) -> None:
        _refuse_unless(self.empty_file_list in FILE_LIST_FORMS, "empty_file_list", FILE_LIST_FORMS)
        _refuse_unless(
            self.list_without_hls in LISTINGS_WITHOUT_HLS, "list_without_hls", LISTINGS_WITHOUT_HLS
        )
        _refuse_unless(self.refuse_storage in STORAGE_REFUSALS, "refuse_storage", STORAGE_REFUSALS)
        is_pair = (self.storage_access_key is None) == (self.storage_secret_key is None)
        _refuse_unless(is_pair, "storage_secret_key", "given together with storage_access_key")
        check_numbers(self)
        _refuse_unless(1 <= self.callback_connections <= 1000, "callback_connections", "from 1 to 1000")
        _refuse_unless(0 <= self.time_scale <= MAX_TIME_SCALE, "time_scale", f"from 0 to {MAX_TIME_SCALE}")

    @property
    def own_sdk_app_ids(self) -> frozenset[int]:
        """Every application the account may use."""
        return frozenset((self.sdk_app_id, *self.more_sdk_app_ids))


def setting_names() -> list[str]:
    """Return the names :class:`Settings` accepts."""
    return [each.name for each in fields(Settings)]


def _refuse_unless(holds: bool, name: str, allowed: object) -> None:
    if not holds:
        raise ValueError(f"{name} must be {allowed if isinstance(allowed, str) else f'one of {allowed}'}")
