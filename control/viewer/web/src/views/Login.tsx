// Asks for the token.

import { useState } from "preact/hooks";
import { login } from "../api";
import { start } from "../live";
import { connection } from "../model";

export function Login() {
  const [token, setToken] = useState("");
  const [error, setError] = useState("");
  const submit = async (event: Event) => {
    event.preventDefault();
    try {
      await login(token.trim());
      connection.value = "connecting";
      void start("");
    } catch (problem) {
      setError(problem instanceof Error ? problem.message : "This did not work.");
    }
  };
  return (
    <form class="login" onSubmit={submit}>
      <img src="/icon.svg" alt="" width="44" height="44" />
      <h1>Millrace viewer</h1>
      <p>The program printed an address with a token when it started; or the token is in the file it was given.</p>
      <label>
        Token
        <input type="password" autocomplete="current-password" value={token} onInput={(event) => setToken(event.currentTarget.value)} />
      </label>
      {error && <p role="alert">{error}</p>}
      <button type="submit">Open</button>
    </form>
  );
}
