"""Redrive over HTTP: RedriveExecution, and the fields that it adds to two of moto's answers."""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from moto.stepfunctions.parser.models import stepfunctions_parser_backends
from werkzeug.wrappers import Request, Response

from local.account import ACCOUNT_ID
from local.stack.naming import REGION
from local.stack.redrive import RedriveRefused, Redrives

_REDRIVE = "AWSStepFunctions.RedriveExecution"
_DESCRIBE = "AWSStepFunctions.DescribeExecution"
_LIST = "AWSStepFunctions.ListExecutions"

Application = Callable[..., Iterable[bytes]]


class RedriveApi:
    """WSGI application in front of moto.

    Args:
        moto: answers the operations that exist there.
    """

    def __init__(self, moto: Application) -> None:
        self._moto = moto
        self._redrives = Redrives(stepfunctions_parser_backends[ACCOUNT_ID][REGION])

    def handles(self, environ: Mapping[str, Any]) -> bool:
        """Whether a request is for one of the three operations."""
        return environ.get("HTTP_X_AMZ_TARGET") in (_REDRIVE, _DESCRIBE, _LIST)

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        if environ["HTTP_X_AMZ_TARGET"] == _REDRIVE:
            response = self._redrive(Request(environ))
        else:
            response = self._complete(Response.from_app(self._moto, environ, buffered=True))
        return response(environ, start_response)

    def _redrive(self, request: Request) -> Response:
        try:
            asked = json.loads(request.get_data())
            date = self._redrives.redrive(asked["executionArn"], asked.get("clientToken"))
        except RedriveRefused as error:
            return _json({"__type": error.code, "message": str(error)}, 400)
        except (ValueError, KeyError, TypeError, AttributeError):
            return _json(
                {"__type": "ValidationException", "message": "executionArn is missing"}, 400
            )
        return _json({"redriveDate": date.timestamp()}, 200)

    def _complete(self, answer: Response) -> Response:
        if answer.status_code != 200:
            return answer
        body = json.loads(answer.get_data())
        for item in body.get("executions", ()):
            item.update(self._redrives.list_item(item["executionArn"]))
        if "executionArn" in body:
            body.update(self._redrives.describe(body["executionArn"]))
        answer.set_data(json.dumps(body))
        return answer


def _json(body: Mapping[str, Any], status: int) -> Response:
    return Response(json.dumps(body), status, content_type="application/x-amz-json-1.0")
