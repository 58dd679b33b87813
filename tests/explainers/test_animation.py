"""Animations: every frame, every grey, nothing else in the file."""

from __future__ import annotations

import io
import stat

import numpy as np
import pytest
from PIL import Image, ImageSequence

from explainers.animation import (
    MissingTool,
    gif_bytes,
    ping_pong,
    webp_bytes,
    write_gif,
    write_mp4,
    write_webp,
)
from explainers.base import ExplainerError

GREYS = (
    np.random.default_rng(6).permuted(np.tile(np.arange(256), (7, 1)), axis=1).reshape(7, 16, 16)
)
FRAMES = (GREYS / 255).astype(np.float32)


def decoded(content):
    with Image.open(io.BytesIO(content)) as film:
        frames, durations = [], []
        for each in ImageSequence.Iterator(film):
            frames.append(np.asarray(each.convert("RGB")))
            durations.append(each.info["duration"])
        return np.stack(frames), durations, film.info


def test_a_loop_goes_up_and_down_without_repeating_its_ends():
    loop = ping_pong(np.arange(4.0).reshape(4, 1, 1)).ravel()
    np.testing.assert_array_equal(loop, [0, 1, 2, 3, 2, 1])
    assert ping_pong(FRAMES[:1]).shape == (1, 16, 16)
    assert ping_pong(FRAMES[:2]).shape == (2, 16, 16)


@pytest.mark.parametrize("encode", [gif_bytes, webp_bytes])
def test_all_256_greys_come_back_exactly(encode):
    frames, durations, info = decoded(encode(FRAMES, fps=10))
    assert frames.shape == (7, 16, 16, 3)
    for channel in range(3):
        np.testing.assert_array_equal(frames[..., channel], GREYS)
    assert set(durations) == {100}
    assert info["loop"] == 0


def test_a_gif_keeps_frames_that_do_not_differ():
    still = np.repeat(FRAMES[:1], 5, axis=0)
    frames, durations, _ = decoded(gif_bytes(still, fps=20))
    assert len(frames) == 5
    assert set(durations) == {50}


def test_the_number_of_frames_in_a_file_is_that_of_the_loop():
    assert len(decoded(gif_bytes(ping_pong(FRAMES)))[0]) == 12
    assert len(decoded(webp_bytes(ping_pong(FRAMES)))[0]) == 12


@pytest.mark.parametrize("encode", [gif_bytes, webp_bytes])
def test_files_are_reproducible_and_hold_no_metadata(encode):
    content = encode(FRAMES)
    assert content == encode(FRAMES)
    assert not {"comment", "exif", "xmp", "icc_profile"} & set(decoded(content)[2])


def test_films_are_written_whole_into_new_folders(tmp_path):
    write_gif(FRAMES, tmp_path / "new" / "a.gif")
    write_webp(FRAMES, tmp_path / "new" / "a.webp")
    names = sorted(path.name for path in (tmp_path / "new").iterdir())
    assert names == ["a.gif", "a.webp"]
    (tmp_path / "file").write_text("")
    with pytest.raises(ExplainerError, match="could not be written"):
        write_gif(FRAMES, tmp_path / "file" / "a.gif")


@pytest.mark.parametrize(
    ("frames", "said"),
    [
        (np.zeros((0, 4, 4)), "cannot become a film"),
        (np.zeros((4, 4)), "cannot become a film"),
        (np.full((2, 4, 4), np.nan), "cannot become a film"),
        (np.full((2, 4, 4), 1.2), "run from 1.2"),
    ],
)
def test_frames_that_are_no_film_are_refused(frames, said):
    with pytest.raises(ExplainerError, match=said):
        gif_bytes(frames)


@pytest.mark.parametrize("fps", [0, -3, 51])
def test_a_speed_that_a_gif_cannot_have_is_refused(fps):
    with pytest.raises(ExplainerError, match="frames per second"):
        gif_bytes(FRAMES, fps=fps)


def test_mp4_without_ffmpeg_says_what_to_do(tmp_path):
    with pytest.raises(MissingTool, match="install it, or choose GIF"):
        write_mp4(FRAMES, tmp_path / "a.mp4", which=lambda _name: None)
    assert list(tmp_path.iterdir()) == []


def fake_ffmpeg(folder, script):
    program = folder / "ffmpeg"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return lambda _name: str(program)


def test_mp4_hands_ffmpeg_the_raw_grey_frames(tmp_path):
    which = fake_ffmpeg(tmp_path, 'for last; do :; done\necho "$@" > args.txt\ncat > "$last"')
    script = tmp_path / "ffmpeg"
    script.write_text(script.read_text().replace("args.txt", str(tmp_path / "args.txt")))
    write_mp4(FRAMES, tmp_path / "a.mp4", fps=12, which=which)
    assert (tmp_path / "a.mp4").read_bytes() == GREYS.astype(np.uint8).tobytes()
    said = (tmp_path / "args.txt").read_text()
    assert "-s 16x16 -r 12" in said
    assert "-map_metadata -1" in said


def test_mp4_repeats_what_ffmpeg_complained_about_and_leaves_nothing(tmp_path):
    which = fake_ffmpeg(tmp_path, "cat > /dev/null\necho Unknown encoder libx264 >&2\nexit 1")
    with pytest.raises(ExplainerError, match="Unknown encoder libx264"):
        write_mp4(FRAMES, tmp_path / "a.mp4", which=which)
    assert [path.name for path in tmp_path.iterdir()] == ["ffmpeg"]
