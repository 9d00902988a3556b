/** Loads `node:sqlite` without its warning that it is experimental. */
export function nodeSqlite(): typeof import('node:sqlite') {
  const original = Object.getOwnPropertyDescriptor(process, 'emitWarning')
  const emitWarning = process.emitWarning.bind(process) as (...args: unknown[]) => void
  process.emitWarning = (...args: unknown[]) => {
    if (!String(args[0]).includes('SQLite is an experimental feature')) emitWarning(...args)
  }
  try {
    return process.getBuiltinModule('node:sqlite')
  } finally {
    if (original) Object.defineProperty(process, 'emitWarning', original)
    else delete (process as Partial<NodeJS.Process>).emitWarning
  }
}
