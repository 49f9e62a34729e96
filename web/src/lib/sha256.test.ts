import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { Sha256 } from "./sha256.ts";

function sumOf(bytes: Uint8Array, piece = bytes.length || 1): string {
  const sum = new Sha256();
  for (let at = 0; at < bytes.length; at += piece) sum.update(bytes.subarray(at, at + piece));
  const hex = sum.hex();
  expect(sum.bytes).toBe(bytes.length);
  return hex;
}

describe("a sum piece by piece", () => {
  it("is that of the standard's own examples", () => {
    const of = (text: string) => sumOf(new TextEncoder().encode(text));
    expect(of("")).toBe("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    expect(of("abc")).toBe("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    expect(of("a".repeat(1_000_000))).toBe("cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  });

  it("is the same wherever the pieces end, at every length round a block", () => {
    const bytes = Uint8Array.from({ length: 300 }, (_, i) => (i * 151) & 0xff);
    for (let length = 0; length <= bytes.length; length++) {
      const part = bytes.subarray(0, length);
      const wanted = createHash("sha256").update(part).digest("hex");
      for (const piece of [1, 7, 63, 64, 65, 300]) expect(sumOf(part, piece)).toBe(wanted);
    }
  });
});
