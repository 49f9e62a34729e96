/** A request that did not succeed: what the server said, or why there was no answer. */
export class ApiFault extends Error {
  override readonly name = "ApiFault";

  constructor(
    /** E_… from the server, or E_OFFLINE / E_BAD_ANSWER made here. */
    readonly code: string,
    message: string,
    /** HTTP status; 0 where there was no answer. */
    readonly status: number,
    readonly requestId: string,
    /** The message is the server's own sentence, which also says what to do next. */
    readonly fromServer = false,
    /** Since when it is so, where the server says. */
    readonly since: string | null = null,
  ) {
    super(message);
  }
}

/** The agent of a cluster keeps no link. */
export const AGENT_DISCONNECTED = "E_AGENT_DISCONNECTED";
export const OFFLINE = "E_OFFLINE";
export const BAD_ANSWER = "E_BAD_ANSWER";

/** Any thrown thing as a fault, so that the page has a sentence for it. */
export function asFault(thrown: unknown): ApiFault {
  if (thrown instanceof ApiFault) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new ApiFault("E_PAGE", message, 0, "");
}
