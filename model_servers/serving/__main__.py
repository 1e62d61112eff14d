"""`python -m model_servers.serving <analyzer>`: one model server, until SIGTERM.

Ends by the signal that asked for it, once the requests in hand are answered; with status 1
when the model cannot be served, 2 for a wrong command line or setting.
"""

import argparse
import logging
import sys

from model_servers.serving.logs import configure_logging
from model_servers.serving.process import prepare_process
from model_servers.serving.settings import ServerSettings
from screener.errors import ConfigurationError
from screener.observations import Analyzer

log = logging.getLogger("model_servers.serving")

# Longer than any idle gap of SageMaker's proxy, so that it never meets a closing connection.
_KEEP_ALIVE_SECONDS = 75


def main() -> int:
    prepare_process()
    # Only now: NumPy comes with them.
    import uvicorn

    from model_servers.serving.app import create_app
    from model_servers.serving.service import Service

    parser = argparse.ArgumentParser(prog="python -m model_servers.serving")
    parser.add_argument("analyzer", type=Analyzer, choices=list(Analyzer))
    # SageMaker runs every container as `docker run IMAGE serve`.
    parser.add_argument("command", nargs="?", choices=["serve"], default="serve")
    analyzer: Analyzer = parser.parse_args().analyzer
    try:
        settings = ServerSettings.load()
    except ConfigurationError as error:
        print(error, file=sys.stderr)  # noqa: T201 - the log's own setting may be the wrong one
        return 2
    configure_logging(analyzer, settings.screener_log_level)

    service = Service(analyzer, settings)
    server = uvicorn.Server(
        uvicorn.Config(
            create_app(service),
            host=settings.screener_host,
            port=settings.sagemaker_bind_to_port,
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        )
    )

    def stop() -> None:
        server.should_exit = True

    service.start_loading(on_failure=stop)
    # On SIGTERM uvicorn stops listening, waits for the requests in hand, and returns.
    server.run()
    return 1 if service.failure else 0


if __name__ == "__main__":
    sys.exit(main())
