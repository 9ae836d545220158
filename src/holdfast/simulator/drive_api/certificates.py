"""A certificate of the simulator's own, for clients that speak TLS only. It is worth nothing anywhere else."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from pathlib import Path

#: The names that Google's clients ask for, so that a proxy can send them here unchanged.
NAMES = ("localhost", "www.googleapis.com", "*.googleapis.com", "accounts.google.com")


class NoCertificate(RuntimeError):
    """None could be made."""


def certificate(folder: Path) -> Path:
    """The certificate in this folder, made if missing, to be trusted as it is. Its key lies beside it.

    Raises:
        NoCertificate: with what to do.
    """
    place, key = folder / "certificate.pem", folder / "key.pem"
    if place.exists() and key.exists():
        return place
    openssl = shutil.which("openssl")
    if openssl is None:
        raise NoCertificate("openssl is missing: apt-get install openssl, or serve without TLS")
    names = ",".join(["IP:127.0.0.1", *(f"DNS:{name}" for name in NAMES)])
    fresh = folder / "certificate.new"
    command = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "3650"]
    command += ["-subj", "/CN=simulated Drive", "-keyout", str(key), "-out", str(fresh)]
    for extension in (
        f"subjectAltName={names}",
        "basicConstraints=critical,CA:TRUE",
        "keyUsage=critical,digitalSignature,keyCertSign",
        "extendedKeyUsage=serverAuth",
    ):
        command += ["-addext", extension]
    made = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)  # noqa: S603 - our own words
    if made.returncode:
        raise NoCertificate(f"openssl made no certificate: {made.stderr.strip()}")
    key.chmod(0o600)
    return fresh.replace(place)


def server_context(folder: Path) -> ssl.SSLContext:
    """How a server speaks TLS with that certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate(folder), folder / "key.pem")
    return context
