/** The control byte of the one character typed after the key row's Ctrl: c becomes ^C. Anything else is left as it is. */
export function armCtrl(typed: Uint8Array): Uint8Array {
  const [byte] = typed;
  if (typed.length !== 1 || byte === undefined) return typed;
  const upper = byte >= 0x61 && byte <= 0x7a ? byte - 0x20 : byte;
  if (upper === 0x20) return new Uint8Array([0]);
  return upper >= 0x40 && upper <= 0x5f ? new Uint8Array([upper & 0x1f]) : typed;
}
