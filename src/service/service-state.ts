export type ServiceState = 'init' | 'starting' | 'running' | 'stopping' | 'stopped' | 'crashed'

/** From each state to these and no other. */
const LEGAL_MOVES: Readonly<Record<ServiceState, readonly ServiceState[]>> = {
  init: ['starting'],
  starting: ['running', 'stopping', 'crashed'],
  running: ['stopping', 'crashed'],
  // A crash while stopping does not end the stop: the rest is still undone, and then it is stopped.
  stopping: ['stopped', 'crashed'],
  crashed: ['stopping', 'stopped'],
  stopped: ['starting'],
}

export function isLegalMove(from: ServiceState, to: ServiceState): boolean {
  return LEGAL_MOVES[from].includes(to)
}
