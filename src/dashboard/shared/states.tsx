/** The symbols of run and window states, so that a state can be seen without its colour. */
export const SIGNS: Readonly<Record<string, string>> = {
  succeeded: '✓',
  failed: '✕',
  running: '▶',
  queued: '◷',
  cancelled: '⊘',
  skipped: '»',
  pending: '○',
  waiting: '◷',
  stale: '↻',
  missing: '·',
  active: '✓',
  paused: '‖',
  retried: '↻',
}

/** Returns the symbol of a state for a small cell. `succeeded` has none, so that the others are easier to see. */
export function cellSign(state: string | undefined): string {
  return state === undefined || state === 'succeeded' ? '' : (SIGNS[state] ?? '•')
}

/** The name of a state, with its colour and symbol. */
export function State({ name }: { readonly name: string }) {
  return (
    <span class={`state state-${SIGNS[name] === undefined ? 'other' : name}`}>
      <span aria-hidden="true">{SIGNS[name] ?? '•'}</span> {name}
    </span>
  )
}
