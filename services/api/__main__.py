"""Run the API: `python -m services.api`."""

from libs.chassis.process.run import run_service
from services.api.settings import Settings
from services.api.wiring import SPEC

if __name__ == "__main__":
    run_service(SPEC, Settings)
