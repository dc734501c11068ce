"""Begin a study, or go on with it."""

from kfp import dsl

from components.definition import component


@component
def open_study(
    table: dsl.Input[dsl.Dataset],
    study: str,
    target: str,
    objectives: str,
    sampler: str,
    pruner: str,
    trials: int,
    seconds: float,
    seed: int,
    folds: int,
    sample: int,
    epochs: int,
    rounds: int,
    base: str,
    models: str,
    parameters: str,
    champion: str,
    warm_start_from: str,
    heartbeat: int,
    retries: int,
    pods: int,
    column: str,
    storage: str,
    tracking_uri: str,
    model_name: str,
) -> list[str]:
    """Say what is searched, and hand out a place for each pod that works on it.

    Args:
        table: split messages; looked at, so that one that cannot be used is refused at once.
        study: its name.
        target: ngram, tabular, encoder, ensemble or cascade.
        objectives: recall, cost, or both with a comma.
        sampler: tpe or random.
        pruner: asha, hyperband or none; empty for what goes with the objectives.
        trials: of all workers together; 0 for no limit.
        seconds: of computing, summed over workers; 0 for no limit.
        seed: of the splits and of every draw.
        folds: campaign splits that a figure is the mean of.
        sample: messages for the encoder; 0 for all.
        epochs: of the encoder at the most.
        rounds: of boosting at the most.
        base: that the encoder starts from.
        models: of an ensemble or a cascade, with commas, cheapest first.
        parameters: tried after the defaults, as NAME=VALUE with spaces between.
        champion: version, by number or alias, whose parameters are tried so; none if empty.
        warm_start_from: studies whose best are tried first, with commas.
        heartbeat: seconds between two signs of life.
        retries: of a trial whose worker died.
        pods: that work on it.
        column: the split.
        storage: where studies lie; empty for the environment's.
        tracking_uri: of MLflow, for the champion; empty for the environment's.
        model_name: the registered model's.

    Returns:
        Output: the number of each pod.
    """
    from components.tune.place import storage_address
    from rampart.data.tables import read_table
    from rampart.errors import InputError
    from rampart.registry.registry import Registry
    from rampart.settings import tracking_address
    from rampart.tuning import studies
    from rampart.tuning.champion import with_champion
    from rampart.tuning.pool import Pool
    from rampart.tuning.settings import StudySettings, value_of

    if pods < 1:
        raise InputError(f"{pods} pods do nothing.", "Ask for at least one.")
    pairs = [text.partition("=") for text in parameters.split()]
    settings = StudySettings.of(
        name=study,
        target=target,
        objectives=tuple(objectives.split(",")),
        sampler=sampler,
        pruner=pruner or None,
        trials=trials or None,
        seconds=seconds or None,
        seed=seed,
        folds=folds,
        sample=sample,
        epochs=epochs,
        rounds=rounds,
        base=base,
        models=tuple(models.split(",")),
        parameters={name: value_of(value) for name, _, value in pairs},
        warm_start_from=tuple(name for name in warm_start_from.split(",") if name),
        heartbeat=heartbeat,
        retries=retries,
    )
    address = storage_address(storage)
    if champion:
        registry = Registry(tracking_address(tracking_uri), name=model_name)
        settings = with_champion(address, settings, lambda: registry.parameters(champion))
    Pool.of(read_table(table.path), column).folds(settings.folds, settings.seed)
    studies.open_study(address, settings)
    # Under a name of its own, KFP's local runner does not find it for the loop.
    return [str(number) for number in range(1, pods + 1)]
