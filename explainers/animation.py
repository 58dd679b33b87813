"""Frames → moving pictures: GIF and WebP, both lossless in 8 bits, and MP4 through ffmpeg.

NumPy and Pillow only. Files hold no metadata: neither a name nor a time nor a program.
"""

from __future__ import annotations

import io
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import GifImagePlugin, Image

from data.scratch import replacing
from explainers.base import ExplainerError

MAX_GIF_FPS = 50


class MissingTool(ExplainerError):
    """A program that the user has not installed."""


def ping_pong(frames: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return frames from lowest to highest and back, as a loop without repeated ends.

    Parameters
    ----------
    frames
        (T, H, W).

    Returns
    -------
    ndarray
        (2T − 2, H, W); (T, H, W) for T ≤ 2, which loops as it is.
    """
    return np.concatenate([frames, frames[-2:0:-1]])


def gif_bytes(frames: NDArray[np.floating], fps: float = 10) -> bytes:
    """Encode frames as an endlessly looping GIF with one palette of 256 greys, no dithering.

    Every frame is written, also one that equals its predecessor: the number of frames and the
    playing time are those of ``frames``.

    Parameters
    ----------
    frames
        (T, H, W), in [0, 1]; each pixel is rounded to 8 bits.
    fps
        Frames per second, at most 50; rounded to whole hundredths of a second per frame.

    Raises
    ------
    ExplainerError
        If frames or fps are not as said.
    """
    pictures = _pictures(frames)
    _check_fps(fps, MAX_GIF_FPS)
    duration = {"duration": round(100 / fps) * 10}
    header, _ = GifImagePlugin.getheader(pictures[0], info={"loop": 0, **duration})
    chunks = list(header)
    for picture in pictures:
        chunks += GifImagePlugin.getdata(picture, (0, 0), **duration)
    return b"".join(chunks) + b";"


def webp_bytes(frames: NDArray[np.floating], fps: float = 10) -> bytes:
    """Encode frames as an endlessly looping, lossless WebP.

    A frame that equals its predecessor is merged with it by the encoder and shown for longer.

    Parameters
    ----------
    frames
        (T, H, W), in [0, 1]; each pixel is rounded to 8 bits.
    fps
        Frames per second, at most 1000.

    Raises
    ------
    ExplainerError
        If frames or fps are not as said.
    """
    first, *others = [picture.convert("RGB") for picture in _pictures(frames)]
    _check_fps(fps, 1000)
    stream = io.BytesIO()
    first.save(
        stream,
        format="WEBP",
        save_all=True,
        append_images=others,
        duration=round(1000 / fps),
        loop=0,
        lossless=True,
        quality=60,
        method=3,
    )
    return stream.getvalue()


def write_gif(frames: NDArray[np.floating], path: Path, fps: float = 10) -> None:
    """Write :func:`gif_bytes` to a file; raises as it does, and if the disk refuses."""
    _write(gif_bytes(frames, fps), path)


def write_webp(frames: NDArray[np.floating], path: Path, fps: float = 10) -> None:
    """Write :func:`webp_bytes` to a file; raises as it does, and if the disk refuses."""
    _write(webp_bytes(frames, fps), path)


def write_mp4(
    frames: NDArray[np.floating],
    path: Path,
    fps: float = 10,
    *,
    which: Callable[[str], str | None] = shutil.which,
) -> None:
    """Write an H.264 film with the ffmpeg that the user has installed; not lossless.

    Parameters
    ----------
    frames
        (T, H, W), in [0, 1]. An odd number of rows or columns is padded by one, in black.
    path
        Ends in ``.mp4``.
    fps
        Frames per second.
    which
        Finds a program by its name.

    Raises
    ------
    MissingTool
        If there is no ffmpeg.
    ExplainerError
        If ffmpeg fails, or frames or fps are not as said.
    """
    pictures = np.stack([np.asarray(picture) for picture in _pictures(frames)])
    _check_fps(fps, 240)
    program = which("ffmpeg")
    if program is None:
        raise MissingTool(
            "An MP4 needs the program ffmpeg, which is not installed; install it, or choose GIF "
            "or WebP."
        )
    _, height, width = pictures.shape
    scratch = path.with_name(f".saving-{path.stem}.mp4")
    command = [program, "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "gray"]
    command += ["-s", f"{width}x{height}", "-r", f"{fps:g}", "-i", "-", "-an"]
    command += ["-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2", "-c:v", "libx264", "-crf", "12"]
    command += ["-pix_fmt", "yuv420p", "-map_metadata", "-1", "-fflags", "+bitexact"]
    command += ["-flags:v", "+bitexact", str(scratch)]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(command, input=pictures.tobytes(), capture_output=True, check=False)
        if done.returncode != 0 or not scratch.exists():
            said = done.stderr.decode(errors="replace").strip().splitlines()
            raise ExplainerError(
                f"ffmpeg could not write {path.name}: {said[-1] if said else 'it gave no reason'}. "
                "Choose GIF or WebP, or install an ffmpeg with H.264."
            )
        scratch.replace(path)
    except OSError as error:
        raise _refused(path, error) from error
    finally:
        scratch.unlink(missing_ok=True)


def _pictures(frames: NDArray[np.floating]) -> list[Image.Image]:
    """Turn (T, H, W) in [0, 1] into grey pictures of 8 bits."""
    if frames.ndim != 3 or 0 in frames.shape or not np.isfinite(frames).all():
        raise ExplainerError(
            f"Frames of shape {frames.shape} cannot become a film; expected finite numbers of "
            "shape (frames, rows, columns)."
        )
    if frames.min() < 0 or frames.max() > 1:
        raise ExplainerError(
            f"Frames run from {frames.min():.3g} to {frames.max():.3g}; expected [0, 1]."
        )
    whole = np.rint(frames.astype(np.float64) * 255).astype(np.uint8)
    return [Image.fromarray(each) for each in whole]


def _check_fps(fps: float, highest: float) -> None:
    if not 0.1 <= fps <= highest:
        raise ExplainerError(
            f"{fps:g} frames per second were asked for; expected 0.1 to {highest:g}."
        )


def _write(content: bytes, path: Path) -> None:
    """Write a file whole or not at all."""
    try:
        with replacing(path) as fresh:
            fresh.write_bytes(content)
    except OSError as error:
        raise _refused(path, error) from error


def _refused(path: Path, error: OSError) -> ExplainerError:
    return ExplainerError(
        f"{path} could not be written: {error.strerror or error}. "
        "Free some space or choose another folder."
    )
