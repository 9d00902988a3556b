import type { LedgerSpan } from '../../store/windows/ledger-spans.ts'
import type { LedgerWindow } from '../../store/windows/window-store.ts'
import type { RunState } from '../../run/run.ts'
import type { Style } from './style.ts'

export function runStateColour(
  style: Style,
  state: RunState | LedgerWindow['state'] | LedgerSpan['state'],
): (text: string) => string {
  switch (state) {
    case 'succeeded':
      return style.green
    case 'failed':
      return style.red
    case 'running':
      return style.cyan
    case 'cancelled':
    case 'skipped':
    case 'stale':
    case 'missing':
      return style.yellow
    case 'queued':
    case 'pending':
    case 'waiting':
      return style.gray
  }
}
