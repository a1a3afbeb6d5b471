// Asks for a bearer token where the server tells callers apart.

import { useEffect, useRef } from "preact/hooks";
import { asking, giveToken } from "../token.ts";

export function TokenDialog() {
  const dialog = useRef<HTMLDialogElement>(null);
  const field = useRef<HTMLTextAreaElement>(null);
  const why = asking.value;
  useEffect(() => {
    if (why === null) dialog.current?.close();
    else if (!dialog.current?.open) dialog.current?.showModal();
  }, [why]);
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    if (field.current?.value.trim()) giveToken(field.current.value);
  };
  // Calls wait for the token: Escape is no answer.
  const stay = (): void => {
    if (asking.value !== null) dialog.current?.showModal();
  };
  return (
    <dialog ref={dialog} aria-labelledby="token-title" onClose={stay}>
      <form onSubmit={submit}>
        <h2 id="token-title">Who are you?</h2>
        <p>This server wants a bearer token. It stays in this tab.</p>
        {why && <p class="error">{why}</p>}
        <label for="token">Token</label>
        <textarea ref={field} id="token" rows={4} spellcheck={false} autocomplete="off" />
        <button class="main">Go on</button>
      </form>
    </dialog>
  );
}
