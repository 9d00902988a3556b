export type ServiceState = 'init' | 'starting' | 'running' | 'stopping' | 'stopped' | 'crashed'

/** The legal next states of each state. */
const LEGAL_MOVES: Readonly<Record<ServiceState, readonly ServiceState[]>> = {
  init: ['starting'],
  starting: ['running', 'stopping', 'crashed'],
  running: ['stopping', 'crashed'],
  // A crash does not end a stop: the stop undoes the remaining steps, and then the service is stopped.
  stopping: ['stopped', 'crashed'],
  crashed: ['stopping', 'stopped'],
  stopped: ['starting'],
}

export function isLegalMove(from: ServiceState, to: ServiceState): boolean {
  return LEGAL_MOVES[from].includes(to)
}
