output "vpc_id" {
  description = "ID of the VPC."
  value       = aws_vpc.this.id
}

output "vpc_cidr" {
  description = "Addresses of the VPC."
  value       = aws_vpc.this.cidr_block
}

output "availability_zones" {
  description = "Names of the zones, in the order of the subnets."
  value       = local.zones
}

output "private_subnet_ids" {
  description = "Subnets of nodes, pods and jobs, one per zone."
  value       = [for zone in local.zones : aws_subnet.private[zone].id]

  # a node that starts before them does not join, and one that ends after them cannot say so
  depends_on = [
    aws_route_table_association.private,
    aws_vpc_endpoint.interface,
    aws_vpc_endpoint.s3,
    aws_vpc_security_group_ingress_rule.endpoints_https,
  ]
}

output "public_subnet_ids" {
  description = "Subnets of load balancers, one per zone."
  value       = [for zone in local.zones : aws_subnet.public[zone].id]
}

output "private_route_table_ids" {
  description = "Route tables of the private subnets, one per zone."
  value       = [for zone in local.zones : aws_route_table.private[zone].id]
}

output "endpoint_security_group_id" {
  description = "Security group of the interface endpoints."
  value       = aws_security_group.endpoints.id
}

output "job_security_group_id" {
  description = "Security group of SageMaker's jobs in the private subnets."
  value       = aws_security_group.jobs.id
}

output "load_balancer_security_group_id" {
  description = "Security group that Ingresses name in alb.ingress.kubernetes.io/security-groups; the only one open to the Internet."
  value       = aws_security_group.load_balancer.id
}

output "load_balancer_target_port" {
  description = "Port of the pods that the load balancer's group may call."
  value       = var.load_balancer_target_port
}

output "s3_endpoint_id" {
  description = "ID of the gateway endpoint of S3."
  value       = aws_vpc_endpoint.s3.id
}

output "interface_endpoint_ids" {
  description = "IDs of the interface endpoints, by service."
  value       = { for service, endpoint in aws_vpc_endpoint.interface : service => endpoint.id }
}

output "flow_log_group" {
  description = "Log group of the flow logs."
  value       = aws_cloudwatch_log_group.flow_logs.name
}
