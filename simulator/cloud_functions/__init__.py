"""The functions of `chalicelib.cloud` over the model that `simulator/cloud` serves, without HTTP.

Each stands in the place of the original of the same name and signature, makes the same one call on
the model, passes the effects of the run, and raises what the original would for the same refusal.
"""

from __future__ import annotations

import functools
import html
import inspect
from collections.abc import Callable
from http import HTTPStatus
from types import ModuleType
from typing import Any, Final, TypeVar

from chalicelib.cloud import images, session
from simulator.cloud.model.caller import Caller
from simulator.cloud.model.cloud import Cloud
from simulator.cloud.model.errors import CloudError as Refusal
from simulator.cloud.model.errors import Unavailable
from simulator.cloud.model.seams import Hypervisor
from simulator.cloud.model.settings import CloudSettings
from simulator.cloud_functions.compute import Compute
from simulator.cloud_functions.image import Images
from simulator.cloud_functions.network import Network
from simulator.cloud_functions.stand_ins import Functions
from simulator.cloud_functions.volume import BlockStorage
from simulator.effects import Effects
from simulator.kernel import Kernel

T = TypeVar("T")

SERVICE_USER: Final = "coffer"
SERVICE_PROJECT: Final = "service"
IMAGE_RETRY_SECONDS: Final = (0.5, 1.0, 2.0, 4.0, 8.0)


class StreamIds:
    """Ids of the cloud from a random stream of its own."""

    def __init__(self, kernel: Kernel) -> None:
        self._stream = kernel.stream("cloud ids")

    def uuid(self) -> str:
        """A UUID with dashes."""
        text = f"{self._stream.getrandbits(128):032x}"
        return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-b{text[17:20]}-{text[20:]}"

    def token(self) -> str:
        """As unguessable as the run's seed."""
        return self._stream.randbytes(32).hex()


def make_cloud(
    kernel: Kernel, hypervisor: Hypervisor, settings: CloudSettings | None = None
) -> Cloud:
    """A cloud on the kernel's time; the caller bootstraps it."""

    def later(seconds: float, action: Callable[[], None]) -> None:
        kernel.call_later(seconds, action)

    return Cloud(lambda: kernel.now, StreamIds(kernel), later, hypervisor, settings)


def service_caller(cloud: Cloud) -> Caller:
    """Coffer's own user in a cloud that was bootstrapped."""
    users, projects = cloud.identity.users.values(), cloud.identity.projects.values()
    user = next(user for user in users if user.name == SERVICE_USER)
    project = next(project for project in projects if project.name == SERVICE_PROJECT)
    roles = cloud.identity.roles_of(user.id, project.id)
    return Caller(user.id, project.id, frozenset(role.name for role in roles))


class _Body:
    """The body of a refusal, as far as the errors' translation reads it."""

    def __init__(self, kind: str) -> None:
        self._kind = kind

    def json(self) -> dict[str, dict[str, str]]:
        """Neutron's form."""
        return {"NeutronError": {"type": self._kind}}


class _HttpError(Exception):
    """A refusal of the model, as the SDK's HTTP error would tell it."""

    def __init__(self, refusal: Refusal, *, as_page: bool) -> None:
        super().__init__(refusal.message)
        self.status_code = refusal.status
        self.details = refusal.message
        self.response = _Body(refusal.kind)
        if as_page:  # Glance's errors are web pages, which the SDK strips of their tags
            title = f"{refusal.status} {HTTPStatus(refusal.status).phrase}"
            self.details = f"{title}: {html.escape(refusal.message)}"


class CloudFunctions:
    """The functions, bound to one cloud and one caller. `install` puts them in their places."""

    def __init__(
        self, kernel: Kernel, effects: Effects, cloud: Cloud, caller: Caller | None = None
    ) -> None:
        self.kernel = kernel
        self.cloud = cloud
        self.caller = caller or service_caller(cloud)
        self._effects = effects
        self._originals: list[tuple[ModuleType, str, Any]] = []

    def install(self) -> None:
        """Replace the originals by these, in this process."""
        assert not self._originals, "the simulated functions are in their places already"
        for module, functions in self._functions().items():
            for name, function in functions.items():
                self._originals.append((module, name, getattr(module, name)))
                setattr(module, name, self._cloud_call(module, name, function))

    def uninstall(self) -> None:
        """Put the originals back."""
        while self._originals:
            module, name, original = self._originals.pop()
            setattr(module, name, original)

    def _functions(self) -> Functions:
        made: Functions = {}
        for service in (Compute, BlockStorage, Network, Images):
            made |= service(self.cloud, self.caller).functions()
        return made

    def _cloud_call(
        self, module: ModuleType, name: str, function: Callable[..., Any]
    ) -> Callable[..., Any]:
        """What the decorator of the originals does: one effect, and errors that are ours."""
        call = f"{module.__name__.rsplit('.', 1)[-1]}.{name}"
        signature = inspect.signature(function)
        is_image = module is images

        @functools.wraps(getattr(module, name))
        def stand_in(*args: Any, **kwargs: Any) -> Any:
            what = signature.bind(*args, **kwargs).arguments

            def once() -> Any:
                return self._effects.perform("openstack", call, lambda: function(**what), **what)

            try:
                return self._patiently(once) if is_image else once()
            except Refusal as refusal:
                http = _HttpError(refusal, as_page=is_image)
                raise session.from_http(http, session.spoken(module.__name__, name, what)) from None

        return stand_in

    def _patiently(self, call: Callable[[], T]) -> T:
        """As the SDK calls Glance: a 503 is tried again, with growing pauses."""
        for pause in IMAGE_RETRY_SECONDS:
            try:
                return call()
            except Unavailable:
                if self.kernel.current is not None:
                    self.kernel.sleep(pause)
        return call()
