// Begins: takes the token from the address, if there is one, and shows the page.

import { render } from "preact";
import { login } from "./api";
import { listen } from "./keys";
import { start } from "./live";
import { App } from "./views/App";
import { applyTheme } from "./views/Theme";

const root = document.getElementById("app");
if (root) {
  applyTheme();
  listen();
  render(<App />, root);
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (token) {
    // Not to stay in the history.
    history.replaceState(null, "", location.pathname);
    login(token).finally(() => void start(""));
  } else {
    void start("");
  }
}
