import { execFileSync } from "node:child_process";
import { lstatSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { type TarEntry, tar } from "./tar.ts";

const MODIFIED = Date.parse("2026-01-02T03:04:05Z");

async function unpacked(entries: TarEntry[], look: (folder: string) => void): Promise<void> {
  const bytes = Buffer.from(await tar(entries).arrayBuffer());
  expect(bytes.length % 512).toBe(0);
  const folder = mkdtempSync(join(tmpdir(), "periscope-tar-"));
  try {
    execFileSync("tar", ["xf", "-", "-C", folder], { input: bytes });
    look(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const file = (path: string, text: string): TarEntry => ({ path, modified: MODIFIED, data: new Blob([text]) });

it("is what tar unpacks: folders, empty files, sizes round a block, names of any kind and length", async () => {
  const long = Array.from({ length: 40 }, (_, i) => `a-long-part-${i}`).join("/");
  const files = [
    file("src/empty", ""),
    ...[1, 511, 512, 513, 100_000].map((size) => file(`src/${size}`, "x".repeat(size))),
    file("src/a\nname with ümlaut", "odd"),
    file(`src/${"n".repeat(96)}`, "fits"),
    file(`src/${"n".repeat(97)}`, "does not"),
    file(`src/${"ü".repeat(125)}`, "255 bytes"),
    file(`src/${long}`, "deep"),
  ];
  await unpacked([{ path: "src/hollow", modified: MODIFIED, data: null }, ...files], (folder) => {
    for (const { path, data } of files) expect(readFileSync(join(folder, path)).length).toBe(data?.size);
    expect(readFileSync(join(folder, "src", "n".repeat(97)), "utf8")).toBe("does not");
    expect(readdirSync(join(folder, "src", "hollow"))).toEqual([]);
    expect(lstatSync(join(folder, "src/513")).mtimeMs).toBe(MODIFIED);
  });
});

it("of nothing is an archive too", async () => {
  await unpacked([], (folder) => expect(readdirSync(folder)).toEqual([]));
});

it("writes sizes that octal digits have no room for", async () => {
  const huge = Object.defineProperty(new Blob([]), "size", { value: 2 ** 40 + 5 });
  const head = Buffer.from(
    await tar([{ path: "huge", modified: 0, data: huge }])
      .slice(0, 512)
      .arrayBuffer(),
  );
  expect(head.subarray(124, 136).toString("hex")).toBe("800000000000010000000005");
});
