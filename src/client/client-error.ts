/**
 * An error of a call: the error that the server returned, or the reason why there is no response.
 *
 * `code` is one of `docs/errors.md`, or `UNREACHABLE` if no answer came, `TIMEOUT` if it took too long, or `ANSWER_INVALID` if the answer is
 * not one of Piko's.
 */
export class PikoError extends Error {
  override readonly name = 'PikoError'
  readonly code: string
  /** The HTTP status; undefined without an answer. */
  readonly status: number | undefined
  readonly details: Readonly<Record<string, unknown>>

  constructor(
    code: string,
    message: string,
    options: {
      readonly status?: number
      readonly details?: Readonly<Record<string, unknown>>
      readonly cause?: unknown
    } = {},
  ) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined)
    this.code = code
    this.status = options.status
    this.details = options.details ?? {}
  }
}

interface Problem {
  readonly code: string
  readonly detail: string
  readonly details?: Readonly<Record<string, unknown>>
}

/** The error in an answer. Never throws. */
export async function errorOf(response: Response): Promise<PikoError> {
  const { status } = response
  const text = await response.text().catch(() => '')
  const problem = problemIn(text)
  if (problem) return new PikoError(problem.code, problem.detail, { status, details: problem.details ?? {} })
  const shown = text.length > 200 ? `${text.slice(0, 200)}…` : text
  return new PikoError('ANSWER_INVALID', `${response.url} answered ${status}: ${shown || response.statusText}`, {
    status,
  })
}

function problemIn(text: string): Problem | undefined {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value !== 'object' || value === null) return undefined
    const { code, detail } = value as Partial<Problem>
    return typeof code === 'string' && typeof detail === 'string' ? (value as Problem) : undefined
  } catch {
    // A proxy has answered instead.
    return undefined
  }
}
