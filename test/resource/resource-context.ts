import type { ResourceContext } from '../../src/resource/resource.ts'
import type { Logger } from '../../src/logger.ts'

/** The error messages that a run's log received. */
export class MemoryLog implements Logger {
  readonly errors: string[] = []
  trace(): void {}
  debug(): void {}
  info(): void {}
  warn(): void {}
  error(fields: object | string, message?: string): void {
    this.errors.push(typeof fields === 'string' ? fields : (message ?? ''))
  }
}

export function resourceContext(context: Partial<ResourceContext> = {}): ResourceContext {
  return {
    runId: 1,
    jobId: 'job',
    attempt: 1,
    fence: 65_537,
    config: {},
    window: undefined,
    resources: {},
    signal: new AbortController().signal,
    log: new MemoryLog(),
    limit: () => ({ take: async () => {}, tryTake: async () => true }),
    ...context,
  }
}
