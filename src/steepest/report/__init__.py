"""Pictures of runs and sweeps, and their reports. Nothing here changes one."""

from steepest.errors import needs

with needs("plots", "steepest.report"):
    from steepest.classifier.mistakes import Mistake as Mistake
    from steepest.classifier.mistakes import most_confident_mistakes as most_confident_mistakes
    from steepest.classifier.occlusion import occlusion_map as occlusion_map
    from steepest.report.axes import TRAIN as TRAIN
    from steepest.report.axes import VALIDATION as VALIDATION
    from steepest.report.axes import theme as theme
    from steepest.report.curves import best_epoch as best_epoch
    from steepest.report.curves import plot_curves as plot_curves
    from steepest.report.curves import plot_gap as plot_gap
    from steepest.report.curves import plot_learning_rate as plot_learning_rate
    from steepest.report.curves import plot_range_test as plot_range_test
    from steepest.report.curves import save_curves as save_curves
    from steepest.report.curves import save_range_test as save_range_test
    from steepest.report.layers import plot_layers as plot_layers
    from steepest.report.page import write_report as write_report
    from steepest.report.predictions import plot_calibration as plot_calibration
    from steepest.report.predictions import plot_confusion as plot_confusion
    from steepest.report.predictions import plot_mistakes as plot_mistakes
    from steepest.report.sweeps import plot_heatmap as plot_heatmap
    from steepest.report.sweeps import plot_importance as plot_importance
    from steepest.report.sweeps import plot_parallel as plot_parallel
    from steepest.report.sweeps import plot_sweep as plot_sweep
    from steepest.report.sweeps import plot_sweep_curves as plot_sweep_curves
    from steepest.report.sweeps import write_sweep_report as write_sweep_report
