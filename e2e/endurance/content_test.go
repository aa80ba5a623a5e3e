package endurance

const versionAnnotation = "phoban.io/version"
