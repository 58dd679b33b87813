// What Python hands to the viewer; the names are those of component.viewer_data.

export type PanelKind = "film" | "map" | "frames";

export interface PanelData {
  title: string;
  kind: PanelKind;
  urls: string[];
  under: string | null;
  otherUrls?: string[];
  signed?: boolean;
  /** Words at the ends of a map's scale. */
  legend?: string[];
  /** Pixels of the panel's pictures; needed for raw ones. */
  width?: number;
  height?: number;
  /** Of the film below a map. */
  underSize?: [number, number];
}

export interface TableData {
  name: string;
  signed: boolean;
  /** 256 RGBA colours, base64. */
  rgba: string;
}

export interface Preset {
  name: string;
  window: number;
  level: number;
}

export interface ReadingLine {
  label: string;
  fixed: string;
  frames: string[];
}

/** Toggles: the one sequence of the view holds a picture of every combination. */
export interface SwitchData {
  titles: string[];
  /** What the classifier says of each picture. */
  texts?: string[];
  /** Whether the unchanged picture is the film itself, and not the generator's picture of it. */
  laid?: boolean;
  /** Why nothing can be switched. */
  note?: string;
}

export interface ViewerData {
  id: string;
  panels: PanelData[];
  controls: { slider: boolean; play: boolean };
  autoplay: boolean;
  low: string;
  high: string;
  origin: number;
  opacity: number;
  fps: number;
  aspect: number;
  cells: number;
  controlRow: boolean;
  reserved: number;
  tables: TableData[];
  presets: Preset[];
  spacingMm?: number;
  sideLabels?: boolean;
  probability?: string;
  prefetch?: string[];
  logUrl?: string;
  csrf?: string;
  originWord?: string;
  columns?: number;
  modes?: string[];
  readings?: ReadingLine[];
  toggles?: SwitchData;
  /** Whether films stand in a column beside the moving one, which takes the height of all. */
  stacked?: boolean;
  keep?: string;
  frameParameter?: string;
  modeParameter?: string;
  goTo?: [number, number];
}

/** Number of frames of the slider: that of the longest sequence. */
export function frameCount(panels: readonly PanelData[]): number {
  return Math.max(1, ...panels.filter((panel) => panel.kind === "frames").map((panel) => panel.urls.length));
}

/** Addresses of a panel in the first or second way of showing sequences. */
export function framesOf(panel: PanelData, mode: number): string[] {
  return mode > 0 && panel.otherUrls ? panel.otherUrls : panel.urls;
}

/** Every address of a view, those seen first in front. */
export function addresses(data: ViewerData, mode: number): string[] {
  const first = data.panels.flatMap((panel) => {
    const frames = framesOf(panel, mode);
    const shown = panel.kind === "frames" ? frames[Math.min(data.origin, frames.length - 1)] : frames[0];
    return panel.under ? [panel.under, shown] : [shown];
  });
  const others = data.panels.flatMap((panel) => [...framesOf(panel, mode), ...panel.urls, ...(panel.otherUrls ?? [])]);
  return [...new Set([...first, ...others])];
}

/** Sides of the picture at an address, as far as they were given. */
export function givenSize(panels: readonly PanelData[], url: string): { width: number; height: number } | null {
  for (const panel of panels) {
    const own = panel.urls.includes(url) || panel.otherUrls?.includes(url);
    if (own && panel.width && panel.height) return { width: panel.width, height: panel.height };
    if (panel.under === url && panel.underSize) return { width: panel.underSize[0], height: panel.underSize[1] };
  }
  return null;
}
