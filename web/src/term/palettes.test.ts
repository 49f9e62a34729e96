import { describe, expect, it } from "vitest";
import { palettes } from "./palettes.ts";

/** What xterm raises by itself, where a program asks for it. */
const RAISED = { dark: ["black"], light: [] as string[] };
const INKS = ["foreground", "cursor", "black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"] as const;
const BRIGHT = ["Black", "Red", "Green", "Yellow", "Blue", "Magenta", "Cyan", "White"] as const;

/** As WCAG counts it. */
function luminance(hex: string): number {
  const [red = 0, green = 0, blue = 0] = [1, 3, 5].map((at) => {
    const part = Number.parseInt(hex.slice(at, at + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function contrast(one: string, other: string): number {
  const [dark = 0, light = 0] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (light + 0.05) / (dark + 0.05);
}

describe.each(["dark", "light"] as const)("the %s palette", (name) => {
  const palette = palettes[name];
  const inks = [...INKS, ...BRIGHT.map((colour) => `bright${colour}` as const)];
  it.each(inks.filter((ink) => !RAISED[name].includes(ink)))("has %s at 4.5:1 on its background", (ink) => {
    expect(contrast(palette[ink] ?? "", palette.background ?? "")).toBeGreaterThanOrEqual(4.5);
  });
});
