// Undo and redo.

/** @template Value */
export class History {
  /** @param {Value} value */
  constructor(value) {
    this.values = [value]
    this.index = 0
  }

  get value() {
    return this.values[this.index]
  }

  get canUndo() {
    return this.index > 0
  }

  get canRedo() {
    return this.index < this.values.length - 1
  }

  /** @param {Value} value replaces the undone values */
  add(value) {
    this.values = [...this.values.slice(0, this.index + 1), value]
    this.index += 1
  }

  /** @param {-1 | 1} steps */
  go(steps) {
    this.index = Math.min(Math.max(this.index + steps, 0), this.values.length - 1)
  }
}
