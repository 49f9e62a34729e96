import { askWho } from "../../api/login.ts";

/**
 * A page cannot read why its WebSocket was refused; the same login can be asked about by a request that it can. Where it has
 * ended, the page shows the way in, and the shells go on trying behind it. Where it is another's, the page is loaded anew.
 */
export const checkLogin = askWho;
