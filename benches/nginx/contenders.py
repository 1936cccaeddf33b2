"""The servers that are compared. Each is nginx with one worker; they differ in what stands before the answer."""

import random
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from served import Failed, Process, free_port

HERE = Path(__file__).parent
LUA_MODULES = "load_module modules/ndk_http_module.so;\nload_module modules/ngx_http_lua_module.so;"


@dataclass
class Machine:
    """Where the parts run and what they are made of."""

    folder: Path
    nginx: str
    nginx_prefix: Path
    keyward: Path
    module: Path
    server_core: int
    keys: int


@dataclass
class Contender:
    name: str
    title: str
    """What it knows the keys by, for the notes under a table."""
    how: str
    gate: str = ""
    http: str = ""
    server: str = ""
    modules: str = ""
    processes: list[Process] = field(default_factory=list)
    port: int = 0

    def start(self, machine: Machine) -> None:
        folder = machine.folder / self.name
        folder.mkdir()
        self.port = free_port()
        values = {
            "modules": self.modules, "gate": indented(self.gate, 6), "http": indented(self.http, 2),
            "server": indented(self.server, 4), "folder": str(folder), "port": str(self.port),
            "affinity": "1" + "0" * machine.server_core,
        }
        text = (HERE / "conf/nginx.conf").read_text()
        for name, value in values.items():
            text = text.replace("{" + name + "}", value)
        configuration = folder / "nginx.conf"
        configuration.write_text(text)
        command = [machine.nginx, "-p", str(machine.nginx_prefix), "-c", str(configuration), "-e", str(folder / "error.log")]
        process = Process(command, folder / "output")
        self.processes.insert(0, process)
        process.wait_for(("127.0.0.1", self.port))

    def pids(self) -> list[int]:
        return [pid for process in self.processes for pid in process.workers()]

    def stop(self) -> None:
        for process in self.processes:
            process.stop()


def indented(text: str, spaces: int) -> str:
    return "\n".join(" " * spaces + line if line else "" for line in text.splitlines())


def write_keys(folder: Path, count: int, hot: int) -> None:
    """`keys`: all of them, in an order that has nothing to do with how they are stored; `hot`: a few of them."""
    # Random in form only: the same keys in every run.
    generator = random.Random(1)
    keys = [f"bk_live_{generator.getrandbits(128):032x}" for _ in range(count)]
    (folder / "keys").write_text("".join(key + "\n" for key in keys))
    (folder / "hot").write_text("".join(key + "\n" for key in generator.sample(keys, min(hot, count))))


def plain() -> Contender:
    return Contender("plain", "plain nginx", "no question asked")


def keyward(machine: Machine) -> Contender:
    """A snapshot, mapped by the module."""
    if not machine.module.exists():
        raise Failed(f"{machine.module} is not built: make nginx")
    folder = machine.folder
    with (folder / "keys").open() as keys, (folder / "keys.jsonl").open("w") as lines:
        for number, key in enumerate(keys):
            lines.write(f'{{"realm":"bench","id":"key_{number:08}","key":"{key.strip()}"}}\n')
    keyring = folder / "keyring.toml"
    run([str(machine.keyward), "keyring", "new", "-o", str(keyring)])
    run([str(machine.keyward), "build", "--config", str(HERE / "conf/keyward.toml"), "--keyring", str(keyring),
         "--keys", str(folder / "keys.jsonl"), "-o", str(folder / "keys.kwd")])
    return Contender(
        "keyward", "keyward", "keyed BLAKE3 digests in a mapped snapshot",
        modules=f"load_module {machine.module};",
        http=f"keyward_snapshot {folder}/keys.kwd;\nkeyward_keyring {keyring};",
        gate="keyward bench;")


def clear_map(machine: Machine) -> Contender:
    with (machine.folder / "keys").open() as keys, (machine.folder / "keys.map").open("w") as lines:
        lines.writelines(f'"Bearer {key.strip()}" 1;\n' for key in keys)
    return Contender(
        "map", "map", "the keys in clear in nginx's own hash",
        # The smallest table that nginx builds without a warning about its size.
        http=f"map_hash_max_size {machine.keys * 2};\nmap_hash_bucket_size 512;\n"
             f"map $http_authorization $is_known {{\n  default 0;\n  include {machine.folder}/keys.map;\n}}",
        gate="if ($is_known = 0) { return 401; }")


def lua(machine: Machine) -> Contender:
    # An entry of the dict takes 128 bytes.
    megabytes = machine.keys * 128 // 2**20 + 32
    return Contender(
        "lua", "lua shared dict", "SHA-256 digests in a shared dict of OpenResty's lua module",
        modules=LUA_MODULES,
        http=f'lua_package_path "{HERE}/conf/?.lua;;";\nlua_shared_dict digests {megabytes}m;\n'
             f'init_by_lua_block {{ require("known").fill("{machine.folder}/keys") }}',
        gate='access_by_lua_block { require("known").check() }')


def auth_request(machine: Machine) -> Contender:
    """Its service has the same core as the worker: the server's side has one core, for every contender."""
    program, address = machine.folder / "authd", machine.folder / "authd.sock"
    run(["go", "build", "-o", str(program), "."], cwd=HERE / "authd")
    service = Process(["taskset", "-c", str(machine.server_core), str(program), str(address), str(machine.folder / "keys")],
                      machine.folder / "authd.output")
    service.wait_for(str(address))
    return Contender(
        "auth_request", "auth_request to Go", "SHA-256 digests in a map of a Go service on a Unix socket, kept alive",
        http=f"upstream authd {{\n  server unix:{address};\n  keepalive 64;\n  keepalive_requests 1000000000;\n}}",
        server='location = /auth {\n  internal;\n  proxy_pass http://authd;\n  proxy_http_version 1.1;\n'
               '  proxy_set_header Connection "";\n  proxy_pass_request_body off;\n  proxy_set_header Content-Length "";\n}',
        gate="auth_request /auth;", processes=[service])


MAKERS = {"plain": lambda machine: plain(), "keyward": keyward, "map": clear_map, "lua": lua, "auth_request": auth_request}


def run(command: list[str], cwd: Path | None = None) -> None:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    if done.returncode != 0:
        raise Failed(f"{' '.join(command)}: {done.stderr or done.stdout}")
