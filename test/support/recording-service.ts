import { Service, type ServiceOptions } from '../../src/service/service.ts'

/** Records every hook as `Name.hook`. */
export class Recording extends Service {
  readonly hooks: string[]

  constructor(name: string, hooks: string[], children: readonly Service[] = [], options: ServiceOptions = {}) {
    super({ ...options, name })
    this.hooks = hooks
    for (const child of children) this.addChild(child)
  }

  protected override async onFirstStart(): Promise<void> {
    await this.record('first_start')
  }

  protected override async onStart(): Promise<void> {
    await this.record('start')
  }

  protected override async onStarted(): Promise<void> {
    await this.record('started')
  }

  protected override async onStop(): Promise<void> {
    await this.record('stop')
  }

  protected override async onStopped(): Promise<void> {
    await this.record('stopped')
  }

  protected override async onRestart(): Promise<void> {
    await this.record('restart')
  }

  protected async record(hook: string): Promise<void> {
    this.hooks.push(`${this.name}.${hook}`)
  }
}
