import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve, sep } from "node:path";
import { describe, expect, it } from "vitest";

/**
 * The statement of layers. Each folder may import from those named and from itself; what is not named
 * is not allowed. It is policy: a build that needs it widened is what should change.
 */
const MAY_IMPORT: Record<string, string[]> = {
  lib: [],
  api: ["lib"],
  stream: ["api", "lib"],
  term: ["api", "lib"],
  ui: ["lib"],
  features: ["api", "lib", "stream", "term", "ui"],
  app: ["api", "features", "lib", "ui"],
};
const NO_REACT = ["lib", "api", "stream", "term"];
const REACT = /^(react|react-dom|radix-ui|lucide-react|@tanstack\/.*)($|\/)/;

const src = resolve(import.meta.dirname, "..");
const IMPORT = /(?:from\s+|import\s+|import\()"([^"]+)"/g;

interface Import {
  file: string;
  layer: string;
  feature: string;
  target: string;
}

function imports(): Import[] {
  const files = readdirSync(src, { recursive: true, encoding: "utf8" }).filter((name) => /\.tsx?$/.test(name));
  return files.flatMap((file) => {
    const [layer = "", feature = ""] = file.split(sep);
    const text = readFileSync(join(src, file), "utf8");
    return [...text.matchAll(IMPORT)].map(([, target = ""]) => ({ file, layer, feature, target }));
  });
}

function inside({ file, target }: Import): string[] | null {
  if (!target.startsWith(".")) return null;
  return relative(src, resolve(src, dirname(file), target)).split(sep);
}

describe("layers", () => {
  const all = imports().filter(({ layer }) => layer in MAY_IMPORT);

  it("are found at all", () => {
    expect(new Set(all.map(({ layer }) => layer))).toEqual(new Set(Object.keys(MAY_IMPORT)));
  });

  it("import only downwards", () => {
    const wrong = all.filter((found) => {
      const target = inside(found)?.[0];
      return target !== undefined && target !== found.layer && !MAY_IMPORT[found.layer]?.includes(target);
    });
    expect(wrong).toEqual([]);
  });

  it("keep features apart", () => {
    const wrong = all.filter((found) => {
      const [layer, feature] = inside(found) ?? [];
      return found.layer === "features" && layer === "features" && feature !== found.feature;
    });
    expect(wrong).toEqual([]);
  });

  it("keep React out of lib, api, stream and term", () => {
    const wrong = all.filter(({ layer, target }) => NO_REACT.includes(layer) && REACT.test(target));
    expect(wrong).toEqual([]);
  });

  it("load the terminal only when a shell is opened", () => {
    const wrong = all.filter((found) => {
      const text = readFileSync(join(src, found.file), "utf8");
      const isTerm = inside(found)?.[0] === "term" && found.layer !== "term";
      const typeOnly = new RegExp(`import type [^;]*"${found.target.replaceAll(".", "\\.")}"`).test(text);
      const lazy = text.includes(`import("${found.target}")`);
      return isTerm && !typeOnly && !lazy;
    });
    expect(wrong).toEqual([]);
  });
});
