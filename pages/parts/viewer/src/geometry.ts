// Where pictures lie: grid of panels, zoom and position, scale bar. No DOM.

/** Zoom 1 fits the film into its panel; x and y are the point of the film, in fractions of its
 * width and height, that lies in the middle of the panel. */
export interface View {
  zoom: number;
  x: number;
  y: number;
}

export interface Room {
  width: number;
  height: number;
}

export interface Point {
  x: number;
  y: number;
}

export const LARGEST_ZOOM = 16;
export const GAP_PX = 6;

export function home(): View {
  return { zoom: 1, x: 0.5, y: 0.5 };
}

/** Size of the film on screen when it just fits. */
export function fitted(room: Room, aspect: number): Room {
  const height = Math.min(room.width / aspect, room.height);
  return { width: height * aspect, height };
}

/** Size of the film on screen in this view. */
export function shown(room: Room, aspect: number, view: View): Room {
  const fit = fitted(room, aspect);
  return { width: fit.width * view.zoom, height: fit.height * view.zoom };
}

/** Film point below a place of the panel; both may lie outside the film. */
export function filmPoint(room: Room, aspect: number, view: View, place: Point): Point {
  const size = shown(room, aspect, view);
  return { x: view.x + (place.x - room.width / 2) / size.width, y: view.y + (place.y - room.height / 2) / size.height };
}

/** Place of the panel at which a film point lies. */
export function panelPoint(room: Room, aspect: number, view: View, point: Point): Point {
  const size = shown(room, aspect, view);
  return { x: room.width / 2 + (point.x - view.x) * size.width, y: room.height / 2 + (point.y - view.y) * size.height };
}

/** Zoom so that the film point below `place` stays where it is. */
export function zoomedAt(room: Room, aspect: number, view: View, place: Point, zoom: number, least: number): View {
  const target = Math.min(Math.max(zoom, least), LARGEST_ZOOM);
  const point = filmPoint(room, aspect, view, place);
  const after = shown(room, aspect, { ...view, zoom: target });
  return kept({
    zoom: target,
    x: point.x - (place.x - room.width / 2) / after.width,
    y: point.y - (place.y - room.height / 2) / after.height,
  });
}

export function panned(room: Room, aspect: number, view: View, dx: number, dy: number): View {
  const size = shown(room, aspect, view);
  return kept({ zoom: view.zoom, x: view.x - dx / size.width, y: view.y - dy / size.height });
}

/** A film that fits is centred; of a larger one some part stays in sight. */
export function kept(view: View): View {
  if (view.zoom <= 1.001) return { zoom: view.zoom, x: 0.5, y: 0.5 };
  return { zoom: view.zoom, x: clamp01(view.x), y: clamp01(view.y) };
}

export function clamp01(value: number): number {
  return Math.min(Math.max(value, 0), 1);
}

/** Zoom at which one column of the picture takes one pixel of the screen. */
export function oneToOne(room: Room, aspect: number, columns: number, pixelRatio: number): number {
  return columns / pixelRatio / fitted(room, aspect).width;
}

/** Columns that make n panels largest, and the height of a film in them. */
export function bestGrid(n: number, room: Room, aspect: number, wanted = 0): { columns: number; height: number } {
  let best = { columns: 1, height: 0 };
  for (let columns = wanted || 1; columns <= (wanted || n); columns += 1) {
    const rows = Math.ceil(n / columns);
    const width = (room.width - GAP_PX * (columns - 1)) / columns;
    const height = Math.min(width / aspect, (room.height - GAP_PX * (rows - 1)) / rows);
    if (height > best.height) best = { columns, height };
  }
  return best;
}

/** Heights of n films in a column and of one beside them that is as high as all, as large as the room allows. */
export function stackedSizes(n: number, room: Room, aspect: number): { small: number; large: number } {
  const gaps = GAP_PX * (n - 1);
  const byHeight = (room.height - gaps) / n;
  const byWidth = ((room.width - GAP_PX) / aspect - gaps) / (n + 1);
  const small = Math.max(0, Math.min(byHeight, byWidth));
  return { small, large: n * small + gaps };
}

export interface ScaleBar {
  mm: number;
  px: number;
  text: string;
}

/** The longest bar of 1, 2 or 5 × 10ᵏ mm that is no longer than `mostPx` on screen. */
export function scaleBar(filmMm: number, filmPx: number, mostPx: number): ScaleBar | null {
  const pxPerMm = filmPx / filmMm;
  if (!Number.isFinite(pxPerMm) || pxPerMm <= 0) return null;
  const most = mostPx / pxPerMm;
  const power = 10 ** Math.floor(Math.log10(most));
  const factor = most / power >= 5 ? 5 : most / power >= 2 ? 2 : 1;
  const mm = factor * power;
  const text = mm >= 10 ? `${Number((mm / 10).toPrecision(3))} cm` : `${Number(mm.toPrecision(3))} mm`;
  return { mm, px: mm * pxPerMm, text };
}
