"""The service: who asks is led here by `environment`, machines are granted, listed, given back, and vanish."""

from __future__ import annotations

import contextlib
import itertools
import json
import secrets
import shutil
import threading
from pathlib import Path
from typing import Any, Self

from holdfast.simulator.colab_service.book import Book
from holdfast.simulator.colab_service.certificate import make
from holdfast.simulator.colab_service.habits import Habits
from holdfast.simulator.colab_service.runtime import Runtime, lay_out_packages
from holdfast.simulator.colab_service.web import Proxy
from holdfast.simulator.drive_api import DriveApi

_VARIANTS = {"NONE": 0, "V5E1": 2, "V6E1": 2}
_FAR = "2099-01-01T00:00:00Z"


class ColabService:
    """Runs in threads of this process until it is closed; machines are processes of their own.

    Args:
        folder: For machines, the book, the certificate, and a home with credentials; made if it is not there.
        cloud: What Google has of the account's Drive; default a folder in it.
        habits: How it behaves; may be changed at any time.
        drive: Fields of the fake `google.colab`, such as `weather`, `seed`, `speed`.
    """

    def __init__(self, folder: Path, *, cloud: Path | None = None, habits: Habits | None = None, **drive: Any) -> None:
        self.folder = folder.absolute()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.habits = habits or Habits()
        self.cloud = (cloud or self.folder / "cloud").absolute()
        #: Drive by its API, the very one that the machines mount.
        self.api = DriveApi(self.cloud, tls=False)
        self.api.start()
        self.book = Book(self.folder / "book.jsonl")
        self._drive = drive
        self._lock = threading.RLock()
        self._numbers = itertools.count(1)
        self._machines: dict[str, Runtime] = {}
        self._notebooks: dict[str, str] = {}
        self._secrets: set[str] = set()
        shutil.rmtree(self.folder / "packages", ignore_errors=True)
        self._packages = lay_out_packages(self.folder / "packages")
        self.certificate, context = make(self.folder)
        self._server = Proxy(("127.0.0.1", 0), context, self)
        threading.Thread(target=self._server.serve_forever, name="service", daemon=True).start()
        self.home = self.folder / "home"
        self._sign_in()

    # --- For the one who asks ---

    @property
    def address(self) -> str:
        """Of the proxy."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def environment(self) -> dict[str, str]:
        """Variables that lead the command here, with credentials in a home of its own."""
        return {
            "HOME": str(self.home),
            "HTTPS_PROXY": self.address,
            "https_proxy": self.address,
            "REQUESTS_CA_BUNDLE": str(self.certificate),
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
            "COLAB_CLI_RETRY_BACKOFF": "0.5",
            "HOLDFAST_DRIVE_API": self.api.address,
        }

    def _sign_in(self) -> None:
        place = self.home / ".config" / "colab-cli"
        place.mkdir(parents=True, exist_ok=True)
        token = {"token": "simulated-access", "expiry": _FAR, "client_id": "x", "client_secret": "x", "refresh_token": "x"}
        (place / "token.json").write_text(json.dumps(token), encoding="utf-8")
        (place / "settings.json").write_text(json.dumps({"enable_update_check": False}), encoding="utf-8")

    def sign_in_to_drive(self) -> None:
        """Have credentials for Drive's API in the home, that make tokens which end after an hour."""
        place = self.home / ".config" / "holdfast" / "drive.json"
        place.parent.mkdir(parents=True, exist_ok=True)
        content = {"client_id": "x", "client_secret": "x", "refresh_token": "x", "token_uri": f"{self.api.address}/token"}
        place.write_text(json.dumps(content), encoding="utf-8")
        place.chmod(0o600)

    # --- For a test ---

    def machines(self) -> list[Runtime]:
        """Those that live, oldest first."""
        with self._lock:
            return list(self._machines.values())

    def vanish(self, endpoint: str) -> None:
        """The machine is gone without a word: SIGKILL of everything of it, and its folder removed."""
        with self._lock:
            machine = self._machines.pop(endpoint)
        self.book.write("vanished", endpoint=endpoint)
        machine.end()

    def units(self) -> float:
        """Compute units that were spent."""
        return self.book.units(self.habits.rates, self.habits.speed)

    # --- What the web asks ---

    def assignments(self) -> list[dict[str, Any]]:
        """As the service lists them."""
        return [self._described(machine) for machine in self.machines()]

    def assigned(self, notebook: str) -> dict[str, Any] | None:
        """What this notebook has, if it has one."""
        with self._lock:
            machine = self._machines.get(self._notebooks.get(notebook, ""))
        return None if machine is None else self._described(machine)

    def refusal(self, accelerator: str) -> int | str | None:
        """How the next request for a machine is answered; None where it is granted."""
        with self._lock:
            if self.habits.refusals:
                return self.habits.refusals.pop(0)
            if accelerator not in self.habits.rights:
                return 400
            return 412 if len(self._machines) >= self.habits.most else None

    def grant(self, notebook: str, accelerator: str) -> dict[str, Any]:
        """Start a machine for a notebook."""
        with self._lock:
            number = next(self._numbers)
            endpoint = f"m-s-{number}-{secrets.token_hex(4)}"
            machine = Runtime(
                self.folder / "machines" / endpoint,
                endpoint,
                accelerator,
                self._packages,
                self.cloud,
                self._drive,
                self.habits.token_seconds,
                {"HOLDFAST_DRIVE_API": self.api.address},
            )
            self._machines[endpoint] = machine
            self._notebooks[notebook] = endpoint
            self.book.write("granted", endpoint=endpoint, accelerator=accelerator)
        machine.wait_until_up()
        return self._described(machine)

    def unassign(self, endpoint: str) -> bool:
        """The machine is given back. Returns whether there was one."""
        with self._lock:
            machine = self._machines.pop(endpoint, None)
        if machine is None:
            return False
        self.book.write("given back", endpoint=endpoint)
        machine.end()
        return True

    def secret(self) -> str:
        """A token for a question that changes something."""
        made = secrets.token_hex(8)
        self._secrets.add(made)
        return made

    def known(self, secret: str) -> bool:
        """Whether a token was made here."""
        return secret in self._secrets

    def account(self) -> dict[str, float]:
        """The account's compute units."""
        living = self.machines()
        return {
            "currentBalance": self.habits.balance - self.units(),
            "consumptionRateHourly": sum(self.habits.rates.get(m.accelerator, 0.0) for m in living),
            "assignmentsCount": len(living),
        }

    def _described(self, machine: Runtime) -> dict[str, Any]:
        token, seconds = machine.token(self.habits.speed)
        return {
            "accelerator": machine.accelerator,
            "endpoint": machine.endpoint,
            "variant": 0 if machine.accelerator == "NONE" else _VARIANTS.get(machine.accelerator, 1),
            "machineShape": 0,
            "runtimeProxyInfo": {"token": token, "tokenExpiresInSeconds": seconds, "url": machine.url},
        }

    # --- Its end ---

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """End every machine and listen no more; the book stays."""
        self._server.shutdown()
        self._server.server_close()
        with self._lock:
            living, self._machines = list(self._machines.values()), {}
        for machine in living:
            machine.end()
        self.api.close()
        self.book.close()
        with contextlib.suppress(OSError):
            shutil.rmtree(self.folder / "packages")
