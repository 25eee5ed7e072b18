"""Frames as a GIF, an MP4 or a page with a slider."""

import base64
import io
import json
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.colors import to_rgb
from PIL import Image

from steepest.errors import SteepestError
from steepest.explain.colours import COLOURS
from steepest.files import write_atomically

_COLOURS = 255  # and one that is transparent
_TRANSPARENT = 255
# What is looked at for the palette that all frames share.
_LOOKED_AT = (0.0, 0.05, 0.2, 0.5, 1.0)
# The last frame stays for so many seconds before a GIF begins again.
_REST = 2.0


@dataclass(frozen=True)
class AnimationWriter:
    """Frames that are drawn when they are needed. fps: frames in a second."""

    frame: Callable[[int], Image.Image]
    count: int
    fps: float

    def gif(self) -> bytes:
        """A GIF that begins again at its end."""
        first, *others = self._with_palette()
        pause = round(1000 / self.fps)
        durations = [pause] * (self.count - 1) + [round(1000 * _REST)]
        out = io.BytesIO()
        first.save(
            out, "GIF", save_all=True, append_images=others, duration=durations, loop=0, disposal=1
        )
        return out.getvalue()

    def png(self) -> bytes:
        """The last frame."""
        return _png(self.frame(self.count - 1))

    def page(self) -> bytes:
        """One HTML file with all frames, a slider and a button."""
        return _PAGE.replace("{{body}}", self.fragment()).encode()

    def fragment(self) -> str:
        """The same as a piece of a page."""
        drawn = self._with_palette()
        first = next(drawn)
        frames = [_encoded(_change(first, frame), _TRANSPARENT) for frame in (first, *drawn)]
        return (
            _PLAYER.replace("{{last}}", str(self.count - 1))
            .replace("{{pause}}", f"{1000 / self.fps:.1f}")
            .replace("{{first}}", _encoded(first))
            .replace("{{frames}}", json.dumps(frames))
            # Notebooks run the script without telling it where it stands.
            .replace("{{id}}", f"animation-{uuid.uuid4().hex}")
        )

    def mp4(self) -> bytes:
        """H.264 by ffmpeg. Raises SteepestError if there is none, or if it fails."""
        width, height = self.frame(0).size
        command = [
            *(_ffmpeg(), "-y", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24"),
            *("-s", f"{width}x{height}", "-r", f"{self.fps:g}", "-i", "-", "-an"),
            # Both sides must be even.
            *("-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2:color=white", "-pix_fmt", "yuv420p"),
            *("-movflags", "+faststart"),
        ]
        with tempfile.TemporaryDirectory() as folder, open(Path(folder, "log"), "w+b") as log:
            file = Path(folder, "animation.mp4")
            with subprocess.Popen([*command, str(file)], stdin=subprocess.PIPE, stderr=log) as run:
                assert run.stdin is not None
                with suppress(BrokenPipeError):  # it has failed and says why in its log
                    for t in range(self.count):
                        run.stdin.write(self.frame(t).tobytes())
                    run.stdin.close()
            if run.returncode:
                log.seek(0)
                reason = log.read().decode(errors="replace").strip()
                raise SteepestError(f"ffmpeg failed: {reason}; save as .gif or .html")
            return file.read_bytes()

    def _with_palette(self) -> Iterator[Image.Image]:
        """All frames with one palette, so that what stands still keeps its colours."""
        shown = [self.frame(round(share * (self.count - 1))) for share in _LOOKED_AT]
        width, height = shown[0].size
        montage = Image.new("RGB", (width, height * len(shown)))
        for i, frame in enumerate(shown):
            montage.paste(frame, (0, i * height))
        palette = _palette(montage)
        for t in range(self.count):
            yield self.frame(t).quantize(palette=palette, dither=Image.Dither.NONE)


_FORMATS: dict[str, Callable[[AnimationWriter], bytes]] = {
    ".gif": AnimationWriter.gif,
    ".html": AnimationWriter.page,
    ".mp4": AnimationWriter.mp4,
    ".png": AnimationWriter.png,
}


def require_format(path: Path) -> None:
    """Raise SteepestError if an animation cannot be written in the format that the ending says."""
    if path.suffix not in _FORMATS:
        raise SteepestError(
            f"a moving picture is saved as {', '.join(_FORMATS)}, but the file is {path.name!r}"
        )
    if path.suffix == ".mp4":
        _ffmpeg()


def write_animation(writer: AnimationWriter, path: Path) -> Path:
    """Write an animation in the format that the ending says. Raises SteepestError if it cannot."""
    require_format(path)
    write_atomically(path, _FORMATS[path.suffix](writer))
    return path


def _ffmpeg() -> str:
    ffmpeg = shutil.which("ffmpeg")
    if ffmpeg is None:
        raise SteepestError(
            "MP4 is written by ffmpeg, which is not installed here; install it, or save as .gif or "
            ".html"
        )
    return ffmpeg


def _palette(montage: Image.Image) -> Image.Image:
    """The colours that lines and dots have, in their shades, and the rest from the frames."""
    shares = np.linspace(0.25, 1.0, 4)[:, None]
    fixed = [[255 * grey] * 3 for grey in np.linspace(0, 1, 16)]
    for name in COLOURS:
        colour = 255 * np.array(to_rgb(name))
        fixed += (shares * colour + (1 - shares) * 255).tolist()
    taken = montage.quantize(_COLOURS - len(fixed), Image.Quantize.MEDIANCUT).getpalette() or []
    colours = [round(channel) for colour in fixed for channel in colour] + taken
    palette = Image.new("P", (1, 1))
    palette.putpalette(colours[: 3 * _COLOURS])
    return palette


def _change(first: Image.Image, frame: Image.Image) -> Image.Image:
    """What is different from the first frame, the rest transparent: a third of the size."""
    before, now = np.asarray(first), np.asarray(frame)
    changed = Image.fromarray(np.where(now == before, _TRANSPARENT, now).astype(np.uint8), "P")
    palette = frame.getpalette() or []
    changed.putpalette(palette + [0] * (3 * 256 - len(palette)))  # else it ends before the last
    return changed


def _encoded(image: Image.Image, transparent: int | None = None) -> str:
    return base64.b64encode(_png(image, transparent)).decode()


def _png(image: Image.Image, transparent: int | None = None) -> bytes:
    out = io.BytesIO()
    see_through = {} if transparent is None else {"transparency": transparent}
    image.save(out, "PNG", compress_level=6, **see_through)
    return out.getvalue()


_PLAYER = """<div class="steepest-animation" id="{{id}}">
<style>
.steepest-animation { max-width: 60em; font: 15px/1.4 system-ui, sans-serif; }
.steepest-animation .frames { position: relative; }
.steepest-animation img { max-width: 100%; display: block; }
.steepest-animation .change { position: absolute; top: 0; left: 0; }
.steepest-animation .controls { display: flex; gap: 1em; align-items: center; padding: .5em 0; }
.steepest-animation input { flex: 1; }
.steepest-animation button { min-width: 5em; }
</style>
<div class="frames">
<img alt="gradient descent, frame by frame" src="data:image/png;base64,{{first}}">
<img class="change" alt="" src="data:image/png;base64,{{first}}"></div>
<div class="controls"><button type="button">Play</button>
<input type="range" min="0" max="{{last}}" value="0" aria-label="frame"></div>
<script>
(() => {
  const root = document.getElementById("{{id}}"), frames = {{frames}};
  const [image, button, slider] = [".change", "button", "input"].map(s => root.querySelector(s));
  let timer = null;
  const show = t => { image.src = "data:image/png;base64," + frames[t]; slider.value = t; };
  const stop = () => { clearInterval(timer); timer = null; button.textContent = "Play"; };
  const play = () => {
    if (+slider.value === frames.length - 1) show(0);
    button.textContent = "Pause";
    timer = setInterval(() => {
      if (+slider.value === frames.length - 1) stop(); else show(+slider.value + 1);
    }, {{pause}});
  };
  button.onclick = () => timer ? stop() : play();
  slider.oninput = () => { stop(); show(+slider.value); };
  if (!matchMedia("(prefers-reduced-motion: reduce)").matches) play();
})();
</script>
</div>"""
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Gradient descent</title>
<style>
:root { color-scheme: light dark; }
body { margin: 2em auto; max-width: 62em; padding: 0 1em; }
</style>
</head>
<body>
{{body}}
</body>
</html>
"""
