package servicetest_test

import "testing"

var policyRules = []rule{}
var runningRules = []rule{}
var _ = testing.Short
