// What the form is given by the server and what it sends back.

export type Kind = "likert" | "scale" | "choice" | "multi_choice" | "text" | "point" | "box";

export interface Option {
  readonly id: string;
  readonly label: string;
}

/** One question, as the protocol declares it. */
export interface Item {
  readonly id: string;
  readonly kind: Kind;
  readonly question: string;
  readonly low: string;
  readonly high: string;
  readonly points: number;
  readonly required: boolean;
  readonly maxLength: number;
  readonly options: readonly Option[];
  readonly maxMarks: number;
  /** It waits for this answer to another item, which stands before it. */
  readonly askedIf?: { readonly item: string; readonly equals: string } | null;
}

/** A point (x, y) or a box (x0, y0, x1, y1) in fractions of the film's width and height. */
export type Mark = readonly number[];

/** An answer that was given; nothing given is `undefined`. */
export type Answer = number | string | readonly string[] | readonly Mark[];

export type Answers = Readonly<Record<string, Answer>>;

export type Mode = "read" | "practice" | "revise" | "review";

/** What Python passes to the component. */
export interface ReadingData {
  readonly id: string;
  readonly items: readonly Item[];
  readonly csrf: string;
  readonly mode: Mode;
  readonly finding: string;
  readonly probability: string;
  readonly answers: Readonly<Record<string, unknown>>;
  readonly number: number;
  readonly savedAt: string;
  readonly skips: boolean;
  readonly supersedes: number | null;
  readonly reserved: number;
}

/** What a post came to. */
export type Outcome =
  /** The server has it. */
  | { readonly kind: "saved"; readonly savedAt: string }
  /** The server will not have it as it is. */
  | { readonly kind: "refused"; readonly problem: string; readonly item: string | null }
  /** The reading is over or not its turn: read in another window, for instance. */
  | { readonly kind: "moved"; readonly problem: string }
  /** Certainly not saved, and worth trying again. */
  | { readonly kind: "busy"; readonly problem: string }
  /** The login has ended. */
  | { readonly kind: "signedOut" }
  /** No answer: whether it was saved is not known. */
  | { readonly kind: "lost" };

export type Post = (action: string, body: unknown, keepalive?: boolean) => Promise<Outcome>;
