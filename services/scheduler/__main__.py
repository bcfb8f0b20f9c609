"""Run the scheduler: `python -m services.scheduler`."""

from libs.chassis.process.run import run_service
from services.scheduler.settings import Settings
from services.scheduler.wiring import SPEC

if __name__ == "__main__":
    run_service(SPEC, Settings)
