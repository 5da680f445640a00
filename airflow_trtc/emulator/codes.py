"""API errors: the exception every check raises, and its text in both languages of the service."""

# ruff: noqa: RUF001 -- Chinese sentences have Chinese punctuation

from __future__ import annotations

from collections.abc import Mapping

_TEXTS: dict[str, tuple[str, str]] = {
    "AuthFailure.InvalidAuthorization": (
        "The `Authorization` in the request header is invalid: {detail}.",
        "请求头部的 `Authorization` 不符合腾讯云标准：{detail}。",
    ),
    "AuthFailure.SecretIdNotFound": (
        "The SecretId is not found, please ensure that your SecretId is correct.",
        "SecretId不存在，请输入正确的密钥。",
    ),
    "AuthFailure.SignatureFailure": (
        "The provided credentials could not be validated. Please check your signature is correct.",
        "请求签名验证失败，请检查您的签名计算是否正确。",
    ),
    "AuthFailure.SignatureExpire": (
        "The provided credentials have expired. {detail}",
        "签名过期，Timestamp 与服务器时间相差不得超过五分钟。{detail}",
    ),
    "AuthFailure.TokenFailure": (
        "The provided token could not be validated. Please check your token.",
        "token 错误，请检查临时密钥的 token。",
    ),
    "AuthFailure.UnauthorizedOperation": (
        "You are not authorized to perform operation (trtc:{detail}). (error: no permission)",
        "未授权操作 (trtc:{detail})，请检查 CAM 策略。",
    ),
    "FailedOperation": ("The operation failed. {detail}", "操作失败。{detail}"),
    "FailedOperation.CRUnsupportMethod": (
        "The application does not support this method of cloud recording.",
        "云端录制方法不支持。",
    ),
    "FailedOperation.TaskExist": ("The task exists already.", "任务已存在。"),
    "FailedOperation.TaskFinished": ("The task is finished.", "任务已结束。"),
    "FailedOperation.TaskNotExist": ("The task does not exist.", "任务不存在。"),
    "FailedOperation.RestrictedConcurrency": (
        "Restricted concurrency: at most {detail} recordings at one time.",
        "并发录制任务数超过限制：{detail}。",
    ),
    "InternalError": ("An internal error has occurred.", "内部错误。"),
    "InvalidAction": ("The request action `{detail}` is invalid or not found.", "接口 `{detail}` 不存在。"),
    "InvalidParameter": ("Invalid parameter: {detail}.", "参数错误：{detail}。"),
    "InvalidParameter.OutOfRange": ("Parameter out of range: {detail}.", "参数超出范围：{detail}。"),
    "InvalidParameter.QueryScaleOversize": (
        "The queried period is too long: {detail}.",
        "查询时间跨度过大：{detail}。",
    ),
    "InvalidParameter.SdkAppId": ("SdkAppId `{detail}` is invalid.", "SdkAppId `{detail}` 错误。"),
    "InvalidParameter.UserSig": ("The UserSig is expired or wrong. {detail}", "UserSig过期或错误。{detail}"),
    "InvalidParameter.PageSizeOversize": ("PageSize is too large: {detail}.", "PageSize超过限制：{detail}。"),
    "InvalidParameter.StartTsOversize": (
        "The start time exceeds the documented limit: {detail}.",
        "查询开始时间超过文档限制：{detail}。",
    ),
    "InvalidParameter.UserIdsMorethanSix": ("There are more than six users.", "用户数超过6个。"),
    "InvalidParameterValue": (
        "The value of the parameter {detail} is not valid.",
        "参数 {detail} 的值无效。",
    ),
    "MissingParameter": (
        "The request is missing a required parameter `{detail}`.",
        "缺少必要参数 `{detail}`。",
    ),
    "NoSuchVersion": ("The API version `{detail}` does not exist.", "接口版本 `{detail}` 不存在。"),
    "OperationDenied.FreqOverLimit": (
        "The frequency limit is exceeded: once in {detail} seconds.",
        "请求频率超限：每 {detail} 秒一次。",
    ),
    "RequestLimitExceeded": (
        "Your current request times equals to `{detail}` in a second, which exceeds the frequency limit "
        "for a second. Please reduce the frequency of calls.",
        "您当前每秒请求 `{detail}` 次，超过了每秒频率上限，请稍后重试。",
    ),
    "ResourceInsufficient.RequestRejection": ("Insufficient resources.", "资源不足。"),
    "ResourceNotFound": ("The task does not exist.", "任务不存在。"),
    "UnauthorizedOperation": (
        "You have no permission for SdkAppId `{detail}`.",
        "无权限操作 SdkAppId `{detail}`。",
    ),
    "UnknownParameter": ("The parameter `{detail}` is not recognized.", "未定义的参数 `{detail}`。"),
    "UnsupportedOperation": ("The operation is not supported.", "操作不支持。"),
    "UnsupportedProtocol": (
        "The request protocol is not supported: {detail}.",
        "不支持的请求协议：{detail}。",
    ),
    "UnsupportedRegion": ("The region `{detail}` is not supported.", "不支持的地域 `{detail}`。"),
}
_OTHER = ("The request failed: {code}. {detail}", "请求失败：{code}。{detail}")


class ApiError(Exception):
    """A request the service refuses with this code. ``message`` replaces the usual text."""

    def __init__(self, code: str, detail: object = "", *, message: str | None = None) -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail
        self.message = message

    def text(self, language: str) -> str:
        """Return the message: English for ``en-US``, else Chinese like the service."""
        if self.message is not None:
            return self.message
        english, chinese = _TEXTS.get(self.code) or _TEXTS.get(self.code.split(".")[0]) or _OTHER
        text = english if language == "en-US" else chinese
        return text.format(detail=self.detail, code=self.code).rstrip()


def error_of(given: object, message: object = None) -> tuple[str | None, str | None]:
    """Return code and message of an error in a script: a code, or ``{"Code": ..., "Message": ...}``."""
    code = given
    if isinstance(given, Mapping):
        code, message = given.get("Code", ""), given.get("Message", message)
        if set(given) - {"Code", "Message"}:
            raise ValueError("error has Code and Message, and nothing else")
    if not (code is None or (isinstance(code, str) and code)):
        raise ValueError("error must be a code such as InternalError")
    if not isinstance(message, (str, type(None))):
        raise ValueError("message must be a text")
    return code, message
