import { type ISearchOptions, SearchAddon } from "@xterm/addon-search";
import type { Terminal } from "@xterm/xterm";
import { theme } from "../lib/theme.ts";
import { palettes, searchColours } from "./palettes.ts";

export interface SearchResult {
  /** -1 where there are too many to number. */
  index: number;
  count: number;
}

/** Finding text in the terminal's screen and scrollback. */
export class TerminalSearch {
  readonly #addon = new SearchAddon({ highlightLimit: 2000 });
  readonly #term: Terminal;

  constructor(term: Terminal) {
    this.#term = term;
    term.loadAddon(this.#addon);
  }

  next(text: string, caseSensitive: boolean, incremental = false): void {
    this.#markSelection();
    this.#addon.findNext(text, { ...options(caseSensitive), incremental });
  }

  previous(text: string, caseSensitive: boolean): void {
    this.#markSelection();
    this.#addon.findPrevious(text, options(caseSensitive));
  }

  clear(): void {
    this.#addon.clearDecorations();
    this.#term.options.theme = palettes[theme.get()];
  }

  watch(listener: (result: SearchResult) => void): () => void {
    const subscription = this.#addon.onDidChangeResults(({ resultIndex, resultCount }) =>
      listener({ index: resultIndex, count: resultCount }),
    );
    return () => subscription.dispose();
  }

  /** The match one is at is also selected, which would hide its colour. */
  #markSelection(): void {
    const now = theme.get();
    const { active } = searchColours[now];
    this.#term.options.theme = { ...palettes[now], selectionBackground: active, selectionInactiveBackground: active };
  }
}

function options(caseSensitive: boolean): ISearchOptions {
  const { match, active } = searchColours[theme.get()];
  return {
    caseSensitive,
    decorations: {
      matchBackground: match,
      matchOverviewRuler: match,
      activeMatchBackground: active,
      activeMatchColorOverviewRuler: active,
    },
  };
}
