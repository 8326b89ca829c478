import "nowhere.sig"
import "../strategies/macros.sig"
signal a:
  emit 1
