"""The service's error codes and what the network raises, as tables: which error of ours, and what to do.

Sources: error codes of the API (trtc.io/document/34270) and what the SDK raises (tencentcloud-sdk-python
3.1.195).
"""

from __future__ import annotations

from typing import TypeVar

from airflow_trtc.errors import TrtcError, TrtcSetupError, TrtcThrottledError, TrtcTransientError
from airflow_trtc.jobs.verdict import WRONG_CLOCK

_Row = TypeVar("_Row")

# A code belongs to the longest entry that it equals or continues after a dot; other codes mean "failed".
CODES: dict[str, type[TrtcError]] = {
    "RequestLimitExceeded": TrtcThrottledError,
    "OperationDenied.FreqOverLimit": TrtcThrottledError,
    "InternalError": TrtcTransientError,
    "ServiceUnavailable": TrtcTransientError,
    "ResourceUnavailable": TrtcTransientError,
    "AuthFailure": TrtcSetupError,
    "UnauthorizedOperation": TrtcSetupError,
    "InvalidParameter": TrtcSetupError,
    "InvalidParameterValue": TrtcSetupError,
    "MissingParameter": TrtcSetupError,
    "UnknownParameter": TrtcSetupError,
    "InvalidRequest": TrtcSetupError,
    "RequestSizeLimitExceeded": TrtcSetupError,
    "UnsupportedOperation": TrtcSetupError,
    "UnsupportedRegion": TrtcSetupError,
    "UnsupportedProtocol": TrtcSetupError,
    "InvalidAction": TrtcSetupError,
    "ActionOffline": TrtcSetupError,
    "NoSuchVersion": TrtcSetupError,
    "NoSuchProduct": TrtcSetupError,
    "IpInBlacklist": TrtcSetupError,
    "IpNotInWhitelist": TrtcSetupError,
    "FailedOperation.SdkAppIdNotUnderAppId": TrtcSetupError,
    "FailedOperation.SdkAppIdNotExist": TrtcSetupError,
    "FailedOperation.NotAbility": TrtcSetupError,
    "FailedOperation.CRUnsupportMethod": TrtcSetupError,
    "FailedOperation.UserSig": TrtcSetupError,
    "FailedOperation.RestrictedFrequency": TrtcThrottledError,
    "FailedOperation.DbOperationFailed": TrtcTransientError,
    # What the SDK itself says before it sends anything.
    "InvalidCredential": TrtcSetupError,
    "ClientError": TrtcSetupError,
    "ClientParamsError": TrtcSetupError,
    "ClientSideError": TrtcSetupError,
    # Trouble on the way. The SDK puts names of Python classes into its code, too.
    "ServerNetworkError": TrtcTransientError,
    "ConnectionError": TrtcTransientError,
    "ChunkedEncodingError": TrtcTransientError,
    "ContentDecodingError": TrtcTransientError,
    "JSONDecodeError": TrtcTransientError,
    "UnicodeDecodeError": TrtcTransientError,
    "KeyError": TrtcTransientError,
    "TypeError": TrtcTransientError,
    "AttributeError": TrtcTransientError,
    "ValueError": TrtcTransientError,
}

_WRONG_APP = "Check sdk_app_id: it must be the number of an application that belongs to the keys' account."
_NO_PERMISSION = (
    "Grant the identity the action in access management (CAM), for this application or for all of them."
)
_WRONG_REGION = (
    "Set the connection's region to one that serves this action; for recording ap-guangzhou, ap-beijing or"
    " ap-shanghai, on the international site also ap-singapore or ap-mumbai."
)
_WRONG_SIGNATURE = (
    "Check sdk_secret_key: it must be the key of this application. A UserSig of your own must be that of the"
    " robot (user_id), and valid for longer than the recording."
)
_WRONG_ROOM = (
    "Check the room: its type must be that of the clients' room, and a numeric one is a number from 1 to"
    " 4294967294."
)
_WRONG_STORAGE = "Name one place for the files: a bucket or VOD, not both."
_WRONG_BUCKET_KEYS = (
    "Check the bucket's keys in the connection that storage_conn_id names: they must be permanent, and may"
    " write to and read from the bucket."
)

ADVICE: dict[str, str] = {
    "RequestLimitExceeded": "Lower requests_per_second, or ask less often.",
    "AuthFailure.SecretIdNotFound": "Check the SecretId (login): it was deleted, disabled or misspelt.",
    "AuthFailure.InvalidSecretId": "Check the SecretId (login): it is not the id of an API key.",
    "AuthFailure.SignatureFailure": "Check the SecretKey (password): it does not belong to the SecretId.",
    WRONG_CLOCK: "Set the clock of the machine this runs on; it is over 5 minutes off.",
    "AuthFailure.TokenFailure": "The session token is wrong or has ended; get new temporary keys.",
    "AuthFailure.MFAFailure": "The account asks for a second factor; use an API key without that rule.",
    "AuthFailure.UnauthorizedOperation": _NO_PERMISSION,
    "AuthFailure.UnRealNameAuthenticated": "Complete the account's identity verification in the console.",
    "AuthFailure": "Check SecretId, SecretKey and their permissions.",
    "UnauthorizedOperation": _NO_PERMISSION,
    "UnauthorizedOperation.SdkAppId": _WRONG_APP,
    "FailedOperation.SdkAppIdNotUnderAppId": _WRONG_APP,
    "FailedOperation.SdkAppIdNotExist": _WRONG_APP,
    "InvalidParameter.SdkAppId": _WRONG_APP,
    "InvalidParameter.SdkAppid": _WRONG_APP,
    "UnsupportedRegion": _WRONG_REGION,
    "IpNotInWhitelist": "Add this machine's address to the key's list of allowed addresses.",
    "IpInBlacklist": "Remove this machine's address from the key's list of denied addresses.",
    "FailedOperation.RestrictedConcurrency": "The account records as much at the same time as it may (100"
    " recordings unless raised). Stop some or retry later, or ask the vendor's support to raise the limit.",
    "LimitExceeded": "A limit of the account is reached; retry later, or ask the vendor's support to raise"
    " it.",
    "ResourceInsufficient.RequestRejection": "The service does not do this for the application: it is busy,"
    " or the application is too old for this function. Retry later, use a newer application, or ask the"
    " vendor's support.",
    "InvalidParameter.UserSig": _WRONG_SIGNATURE,
    "MissingParameter.UserSig": _WRONG_SIGNATURE,
    "FailedOperation.UserSig": _WRONG_SIGNATURE,
    "InvalidParameter.RoomId": _WRONG_ROOM,
    "InvalidParameter.OutOfRange": "Compare the parameters with their limits. " + _WRONG_ROOM,
    "MissingParameter.CloudStorage": _WRONG_STORAGE,
    "MissingParameter.StorageParams": _WRONG_STORAGE,
    "InvalidParameter.StorageParams": _WRONG_STORAGE,
    "MissingParameter.AccessKey": _WRONG_BUCKET_KEYS,
    "MissingParameter.SecretKey": _WRONG_BUCKET_KEYS,
    "InvalidParameter.AccessKey": _WRONG_BUCKET_KEYS,
    "InvalidParameter.SecretKey": _WRONG_BUCKET_KEYS,
    "FailedOperation.NotAbility": "Enable this function for the application in the TRTC console.",
    "UnsupportedOperation": "Check that the application's package includes this function, and that storage"
    " names either a bucket or VOD.",
    "FailedOperation.CRUnsupportMethod": "Check that on-cloud recording is enabled for the application, and"
    " that its package includes it.",
    "InvalidAction": "Check the name of the action and the endpoint.",
    "NoSuchProduct": "Check the endpoint: it is not the one of TRTC.",
    "MissingParameter": "Add the parameter that the message names.",
    "Client.Certificate": "Check the endpoint; if a proxy opens TLS, set SSL_CERT_FILE to its certificate.",
    "Client.Proxy": "Check the proxy: extra field proxy, or HTTPS_PROXY, ALL_PROXY and NO_PROXY in the"
    " environment.",
    "Client.Unsendable": "Check the connection's host, keys, token and region for odd characters.",
    "Client.Http407": "The proxy wants a name and password: http://name:password@host:port.",
    "Client.Unreachable": "Check the endpoint, the network, the firewall and the proxy.",
}

# Names of exceptions: the first part of the module's name, and the class.
NEVER_SENT = {
    "httpx.ConnectError",
    "httpx.ConnectTimeout",
    "httpx.PoolTimeout",
    "httpx.ProxyError",
    "requests.ConnectTimeout",
    "requests.ProxyError",
    "urllib3.ConnectTimeoutError",  # also whatever else keeps a connection from being made
    "socket.gaierror",
}
TROUBLE: tuple[tuple[set[str], str, str], ...] = (
    (
        {"httpx.ProxyError", "requests.ProxyError", "urllib3.ProxyError"},
        "Client.Proxy",
        "The proxy on the way to {} fails.",
    ),
    (
        {"socket.gaierror", "urllib3.NameResolutionError"},
        "Client.Unreachable",
        "The host name of {} cannot be resolved.",
    ),
    (NEVER_SENT, "Client.Unreachable", "{} cannot be reached."),
    (
        {"httpx.TimeoutException", "requests.Timeout", "urllib3.TimeoutError"}
        | {"builtins.TimeoutError", "asyncio.TimeoutError"},
        "Client.Timeout",
        "{} did not answer in time.",
    ),
)
BROKE_OFF = ("Client.ConnectionLost", "The connection to {} broke off.")
NETWORK = {"httpx.TransportError", "urllib3.HTTPError"}  # all of requests' are OSErrors
NETWORK |= {"builtins.OSError", "builtins.EOFError", "asyncio.TimeoutError", "http.HTTPException"}
UNSENDABLE = {
    "builtins.UnicodeEncodeError",
    "httpx.InvalidURL",
    "httpx.UnsupportedProtocol",
    "requests.InvalidHeader",
    "requests.InvalidURL",
    "urllib3.LocationParseError",
}
UNREADABLE = (KeyError, TypeError, AttributeError, ValueError, IndexError)


def names_no_region(code: str, message: str) -> bool:
    """Whether the service refuses the region since there is none of this name."""
    return code.startswith("InvalidParameterValue") and "X-TC-Region" in message


def advice_for(code: str, message: str = "") -> str:
    """What to do about an error; empty when there is nothing to say."""
    if names_no_region(code, message):
        return _WRONG_REGION
    return row_of(ADVICE, code) or ""


def row_of(table: dict[str, _Row], code: str) -> _Row | None:
    """The longest entry that the code equals or continues after a dot."""
    while code not in table:
        code, dot, _ = code.rpartition(".")
        if not dot:
            return None
    return table[code]
