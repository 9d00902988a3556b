/** The symbols of the states of runs and windows, which show a state without colour. */
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

/** The sign of a state in a small cell. States that need no attention have no sign, so that the others are easier to see. */
export function cellSign(state: string | undefined): string {
  return state === undefined || state === 'succeeded' ? '' : (SIGNS[state] ?? '•')
}

/** The name of a state in its colour, with its sign. */
export function State({ name }: { readonly name: string }) {
  return (
    <span class={`state state-${SIGNS[name] === undefined ? 'other' : name}`}>
      <span aria-hidden="true">{SIGNS[name] ?? '•'}</span> {name}
    </span>
  )
}
