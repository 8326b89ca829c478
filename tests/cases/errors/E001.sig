signal a:
  x = (1 + 2
  emit prices >
