import { formatBytes } from "../../lib/bytes.ts";

const WHY: Record<string, string> = {
  interrupt: "left out to let your interrupt through",
  buffer: "of older output are no longer kept",
};

export function gapNote({ bytes, why }: { bytes: number; why: string }): string {
  return `${formatBytes(bytes)} ${Object.hasOwn(WHY, why) ? WHY[why] : "left out"}`;
}
