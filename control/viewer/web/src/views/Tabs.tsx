// Tabs, with the arrow keys.

export interface TabSpec<T extends string> {
  name: T;
  label: string;
}

interface Props<T extends string> {
  label: string;
  tabs: TabSpec<T>[];
  chosen: T;
  choose: (name: T) => void;
}

export function Tabs<T extends string>({ label, tabs, chosen, choose }: Props<T>) {
  const move = (event: KeyboardEvent) => {
    const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    if (step === 0) return;
    const at = tabs.findIndex((tab) => tab.name === chosen) + step;
    const next = tabs[(at + tabs.length) % tabs.length];
    if (!next) return;
    choose(next.name);
    const box = event.currentTarget as HTMLElement;
    box.querySelector<HTMLElement>(`[data-name="${next.name}"]`)?.focus();
  };
  return (
    <div class="tabs" role="tablist" aria-label={label} onKeyDown={move}>
      {tabs.map((tab) => (
        <button
          key={tab.name}
          type="button"
          role="tab"
          data-name={tab.name}
          aria-selected={tab.name === chosen}
          tabIndex={tab.name === chosen ? 0 : -1}
          onClick={() => choose(tab.name)}
        >
          {tab.label}
        </button>
      ))}
    </div>
  );
}
