// The page: what is above, the list, the detail, what is below.

import { announcement, connection, selection, view } from "../model";
import { Detail } from "./Detail";
import { ExchangeList } from "./ExchangeList";
import { FlowDetail } from "./FlowDetail";
import { FlowList } from "./FlowList";
import { Header } from "./Header";
import { Help } from "./Help";
import { Login } from "./Login";
import { Status } from "./Status";
import { Timeline } from "./Timeline";

export function App() {
  if (connection.value === "login") return <Login />;
  const selected = selection.value;
  return (
    <>
      <Header />
      <Timeline />
      <main class={selected ? "with-detail" : ""}>
        {view.value === "exchanges" ? <ExchangeList /> : <FlowList />}
        {selected?.kind === "exchange" && <Detail key={`e${selected.id}`} id={selected.id} />}
        {selected?.kind === "flow" && <FlowDetail key={`f${selected.id}`} id={selected.id} />}
      </main>
      <Status />
      <Help />
      <div class="unseen" role="status" aria-live="polite">
        {announcement.value}
      </div>
    </>
  );
}
