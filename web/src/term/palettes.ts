import type { ITheme } from "@xterm/xterm";
import type { Theme } from "../lib/theme.ts";

/** The terminal's own colours. Every foreground keeps 4.5:1 on its background (xterm raises what a program picks). */
const dark: ITheme = {
  background: "#0d1014",
  foreground: "#d6dbe1",
  cursor: "#5eead4",
  cursorAccent: "#0d1014",
  selectionBackground: "#2b4a5e",
  selectionInactiveBackground: "#26323c",
  scrollbarSliderBackground: "#ffffff26",
  scrollbarSliderHoverBackground: "#ffffff40",
  scrollbarSliderActiveBackground: "#ffffff59",
  black: "#1b2027",
  red: "#f47b7b",
  green: "#7fc98f",
  yellow: "#e2b868",
  blue: "#7eaef2",
  magenta: "#c79bf0",
  cyan: "#6cc9cf",
  white: "#c3cad3",
  brightBlack: "#7d8794",
  brightRed: "#ff9d9d",
  brightGreen: "#a2e3af",
  brightYellow: "#f3d08b",
  brightBlue: "#a6c8ff",
  brightMagenta: "#dcbcff",
  brightCyan: "#98e2e6",
  brightWhite: "#f3f5f8",
};

const light: ITheme = {
  background: "#fbfbfa",
  foreground: "#23282f",
  cursor: "#0f766e",
  cursorAccent: "#fbfbfa",
  selectionBackground: "#bfdcee",
  selectionInactiveBackground: "#dfe5ea",
  scrollbarSliderBackground: "#00000026",
  scrollbarSliderHoverBackground: "#00000040",
  scrollbarSliderActiveBackground: "#00000059",
  black: "#23282f",
  red: "#b3261e",
  green: "#1a7035",
  yellow: "#805500",
  blue: "#1d56b8",
  magenta: "#8130b0",
  cyan: "#0c6a75",
  white: "#5c6570",
  brightBlack: "#646d78",
  brightRed: "#c2332b",
  brightGreen: "#1f7a3d",
  brightYellow: "#8a5c00",
  brightBlue: "#2763cc",
  brightMagenta: "#8f3cc0",
  brightCyan: "#0f727e",
  brightWhite: "#3c444d",
};

export const palettes: Record<Theme, ITheme> = { dark, light };

export const searchColours: Record<Theme, { match: string; active: string }> = {
  dark: { match: "#57471c", active: "#a06a00" },
  light: { match: "#f3e2a9", active: "#f0b429" },
};
