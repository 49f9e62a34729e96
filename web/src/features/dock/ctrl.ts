/**
 * What Ctrl makes of the one key pressed after the key row's own: c becomes ^C, an arrow moves by a word. Anything else is
 * left as it is.
 */
export function armCtrl(typed: Uint8Array): Uint8Array {
  const [byte] = typed;
  if (byte === undefined) return typed;
  if (typed.length > 1) return withCtrl(typed);
  const upper = byte >= 0x61 && byte <= 0x7a ? byte - 0x20 : byte;
  if (upper === 0x20) return new Uint8Array([0]);
  // As terminals do since the VT220: undo, in most programs that edit a line.
  if (upper === 0x2d || upper === 0x2f) return new Uint8Array([0x1f]);
  return upper >= 0x40 && upper <= 0x5f ? new Uint8Array([upper & 0x1f]) : typed;
}

/**
 * What a terminal says by itself: whether it has the keyboard, where the mouse is, and its answers to programs, in CSI, OSC
 * and DCS. Of two bytes it is a key with Alt.
 */
// biome-ignore lint/suspicious/noControlCharactersInRegex: the sequences begin with Escape
const REPORT = /^\u001b(?:\[(?:[IO]$|[<>?M]|[\d;]+(?:[MnRt]|\$y)$)|[\]P].)/s;

/** Whether it is the terminal's own report, as that it has the keyboard, and not a key that somebody pressed. */
export function isReport(typed: Uint8Array): boolean {
  return REPORT.test(new TextDecoder().decode(typed));
}

/** Cursor keys and paging keys carry their modifier in the sequence: ESC [ A becomes ESC [ 1 ; 5 A. */
function withCtrl(typed: Uint8Array): Uint8Array {
  const text = new TextDecoder().decode(typed);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the sequences begin with Escape
  const cursor = /^\u001b[[O]([A-DFH])$/.exec(text);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: as above
  const paging = /^\u001b\[([56])~$/.exec(text);
  if (cursor) return new TextEncoder().encode(`\u001b[1;5${cursor[1]}`);
  return paging ? new TextEncoder().encode(`\u001b[${paging[1]};5~`) : typed;
}
