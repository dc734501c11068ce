"""Which bundles this server answers from: found, loaded, swapped under load, and unloaded.

A new bundle is loaded and answers once beside the old one before it takes its place; what the old
one was asked it answers itself. A bundle that cannot be loaded changes nothing: the old one serves
on, and the index says why.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from rampart.bundle.cache import BundleCache, Holding
from rampart.bundle.manifest import MANIFEST_FILE, Manifest
from rampart.bundle.remote import RemoteBundle, is_address
from rampart.bundle.store import read_manifest
from rampart.errors import InputError, RampartError, UnknownModelError
from rampart.inference.batching import Batcher
from rampart.inference.cache import VerdictCache
from rampart.inference.engine import Engine
from rampart.settings import user_cache
from serving.predictor import metrics
from serving.predictor.codec.request import Limits
from serving.predictor.model import RampartModel, Served
from serving.predictor.sdk import ModelNotFound, ModelRepository, ModelRepositoryExtension
from serving.predictor.settings import PredictorSettings

_log = logging.getLogger("rampart.predictor")
READY, LOADING, UNAVAILABLE = "READY", "LOADING", "UNAVAILABLE"


class Bundles:
    """The bundles that the settings name, by the models' names."""

    def __init__(self, settings: PredictorSettings, verdicts: VerdictCache) -> None:
        self._settings = settings
        self._verdicts = verdicts
        self._cache = (
            BundleCache(
                settings.model_cache or user_cache() / "models", limit=settings.model_cache_bytes
            )
            if settings.model_cache_bytes
            else None
        )

    def places(self) -> Mapping[str, str]:
        """Where each model's bundle is: one in the folder itself, or one in each of its folders.

        Raises:
            BundleError: there is none.
        """
        place = self._settings.bundle
        folder = Path(place)
        if is_address(place) or (folder / MANIFEST_FILE).exists():
            return {self._settings.model_name: place}
        found = {path.parent.name: str(path.parent) for path in folder.glob(f"*/{MANIFEST_FILE}")}
        if not found:
            read_manifest(folder)
        return dict(sorted(found.items()))

    def load(self, name: str, serving: str = "") -> Served | None:
        """The bundle of a model, ready to answer; None where it is the one that is serving.

        Args:
            name: of the model.
            serving: id of the bundle that answers now.

        Raises:
            UnknownModelError: there is no such model.
            BundleError: its bundle is broken.
            SourceError: it cannot be fetched.
        """
        place = self.places().get(name)
        if place is None:
            raise UnknownModelError(
                f"There is no bundle of a model {name!r}.", "POST /v2/repository/index lists them."
            )
        # By its manifest alone: a look that finds nothing new reads no weights.
        if serving and serving == self._manifest(place).id:
            return None
        settings = self._settings
        holding = Holding(self._cache) if self._cache else None
        try:
            folder = self._folder(place, holding)
            engine = Engine.load(
                folder,
                threads=settings.threads,
                cascade=settings.cascade,
                keep=holding.keep if holding else None,
                device=settings.device,
            )
            engine.warm_up()
        except BaseException:
            if holding:
                holding.release()
            raise
        batcher = Batcher(
            engine.begin,
            bundle=engine.manifest.id,
            waiting=settings.queue,
            tokens=settings.batch_tokens,
            cache=self._verdicts,
            on_batch=metrics.count_batch,
            on_call=metrics.INFERENCE_SECONDS.observe,
        )
        return Served(engine, batcher, holding)

    def _manifest(self, place: str) -> Manifest:
        return RemoteBundle(place).manifest() if is_address(place) else read_manifest(Path(place))

    def _folder(self, place: str, holding: Holding | None) -> Path:
        if not is_address(place):
            return Path(place)
        if holding is None:
            raise InputError(
                f"{place} has to be fetched, and nothing is kept.",
                "Give model_cache_bytes, or a folder.",
            )
        return holding.bundle(place)


@dataclass(slots=True)
class _State:
    """What the index says of a model."""

    state: str
    reason: str = ""

    def document(self, name: str) -> dict[str, str]:
        return {"name": name, "state": self.state, "reason": self.reason}


class BundleRepository(ModelRepositoryExtension):  # type: ignore[misc]
    """V2's model repository over the bundles: index, load, unload.

    KServe's own lets whoever reaches the port unload a model and so end the service; here it has
    to be allowed first.
    """

    def __init__(
        self, registry: ModelRepository, bundles: Bundles, limits: Limits, *, control: bool
    ) -> None:
        """Begin with no model.

        Args:
            registry: KServe's, which requests find their models in.
            bundles: that there are.
            limits: of requests.
            control: whether clients may load and unload.
        """
        super().__init__(registry)
        self._bundles = bundles
        self._limits = limits
        self._control = control
        self._states: dict[str, _State] = {}
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._retiring: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Load every bundle that there is.

        Raises:
            BundleError: there is none, or one is broken.
            SourceError: one cannot be fetched.
        """
        for name in self._bundles.places():
            served = self._bundles.load(name)
            if served is not None:
                self._take(name, served)

    @property
    def models(self) -> list[RampartModel]:
        """Those that are loaded."""
        return list(self._model_registry.get_models().values())

    async def index(self, filter_ready: bool | None = False) -> list[dict[str, str]]:  # noqa: FBT001, FBT002 - KServe's signature
        """The models that are or were here, with their states, and why one is not as it should."""
        found: dict[str, _State] = dict(self._states)
        try:
            places = await asyncio.to_thread(self._bundles.places)
        except RampartError as error:
            _log.warning("%s", error)
            places = {}
        for name in places:
            found.setdefault(name, _State(UNAVAILABLE, "not loaded"))
        return [
            state.document(name)
            for name, state in sorted(found.items())
            if state.state == READY or not filter_ready
        ]

    async def load(self, model_name: str) -> None:
        """Load a model, or its new bundle in place of the one that it answers from.

        Raises:
            InputError: clients may not; or the bundle is broken, and the old one serves on.
            UnknownModelError: there is no such model.
        """
        self._allow(model_name)
        try:
            # A client that goes away leaves no bundle half loaded.
            await asyncio.shield(asyncio.ensure_future(self.renew(model_name)))
        except InputError:
            raise
        except RampartError as error:
            raise InputError(f"Model {model_name} cannot be loaded: {error}") from error

    async def renew(self, name: str) -> bool:
        """As `load`, whoever may; returns whether there was a new bundle.

        Raises:
            UnknownModelError: there is no such model.
            BundleError: the bundle is broken; the old one serves on.
            SourceError: it cannot be fetched; the old one serves on.
        """
        async with self._locks[name]:
            model = self._model_registry.get_model(name)
            serving = model.rampart.manifest.id if model else ""
            if model is None:
                self._states[name] = _State(LOADING)
            try:
                served = await asyncio.to_thread(self._bundles.load, name, serving)
            except RampartError as error:
                if isinstance(error, UnknownModelError):
                    self._states.pop(name, None)
                else:
                    reason = f"its new bundle was refused: {error}" if model else str(error)
                    self._states[name] = _State(READY if model else UNAVAILABLE, reason)
                raise
            if served is None:
                self._states[name] = _State(READY)
                return False
            self._take(name, served)
            return True

    async def unload(self, model_name: str) -> None:
        """Let a model answer what it was asked, and take no more.

        Raises:
            InputError: clients may not.
            ModelNotFound: there is no such model.
        """
        if self._model_registry.get_model(model_name) is None:
            raise ModelNotFound(model_name)
        self._allow(model_name)
        async with self._locks[model_name]:
            model = self._model_registry.get_models().pop(model_name, None)
            if model is not None:
                model.ready = False
                self._states[model_name] = _State(UNAVAILABLE, "unloaded")
                metrics.show_bundle(model_name, "", model.rampart.manifest.id)
                self._retire(model.served)

    async def watch(self, seconds: float) -> None:
        """Look every so many seconds for new bundles of the models that are loaded, for ever."""
        while True:
            await asyncio.sleep(seconds)
            await self.renew_all()

    async def renew_all(self) -> None:
        """Look for new bundles; what is wrong with one is logged, and the old one serves on."""
        for name in [model.name for model in self.models]:
            before = self._states[name]
            try:
                if await self.renew(name):
                    _log.warning("%s answers from a new bundle.", name)
            except RampartError as error:
                # Once, not every time that it is looked at.
                if before != self._states.get(name):
                    _log.error("%s keeps its bundle: %s", name, error)

    def _take(self, name: str, served: Served) -> None:
        model = self._model_registry.get_model(name)
        if model is None:
            model = RampartModel(name, served, self._limits)
            model.ready = True
            self._model_registry.update(model)
            metrics.show_bundle(name, served.engine.manifest.id)
        else:
            before = model.swap(served)
            metrics.show_bundle(name, served.engine.manifest.id, before.engine.manifest.id)
            self._retire(before)
        self._states[name] = _State(READY)

    def _retire(self, served: Served) -> None:
        """End what nothing new is sent to, once it has answered; a batch may take a while."""
        task = asyncio.create_task(asyncio.to_thread(served.close))
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)

    def _allow(self, name: str) -> None:
        if not self._control:
            if self._model_registry.get_model(name) is None:
                raise ModelNotFound(name)
            raise InputError(
                f"Model {name} is not loaded or unloaded over the network.",
                "Start the server with model_control to allow it, or send it SIGHUP.",
            )


def depth(models: Iterable[RampartModel]) -> int:
    """Requests that wait, of all models."""
    return sum(model.served.batcher.depth for model in models)
